"""Does a watch keep the requested rate while normal behaviour changes, and what does it cost?

    python benchmarks/watch_rate.py DATA [STREAM ...] [--models FOLDER]

DATA is the folder ../shared/data, STREAM a stream of `ordered_streams.py` (default: all). A detector learns
the beginning of the stream with the default settings, and watches the rest in order, at 1 %, at 0.1 %, and
with a budget of three incidents a day: as `onward watch run` does, with rate control and learning as it
reads; with control alone (`fixed`); and with neither (`without`).

For each tenth of the judged normal sequences: the share that opened an incident.
`most` is what the bound of rate control allows, whatever the stream is: rate * n + rise / STEP + 1 incidents
in n normal and anomalous sequences, where a clear outlier counts as a twentieth. `found` is the share of
anomalous sequences with an alarm; `stretches_found` that of the runs of anomalous sequences in which at least
one has an alarm.

STEP and CLEAR were chosen on hdfs and bgl, and confirmed on the other streams.
"""

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.features import Verdict
from onward.watch.stream.alarm_budget import AlarmBudget
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.rate_control import STEP
from onward.watch.training import LearnSettings, learn_detector
from ordered_streams import OrderedStream, load_stream, names
from record import command_line, record

RATES = (0.01, 0.001)
BUDGET = AlarmBudget(3, "day")
UNLIMITED = AlarmBudget(1e12, "hour")
"""So many incidents may open that the threshold is back at that of the calibration at once."""

AT_ONCE = 5000


def main() -> None:
    parser = command_line(__doc__, "data")
    parser.add_argument("streams", nargs="*", metavar="STREAM")
    parser.add_argument("--models", type=Path, help="Folder that keeps the detectors for the next run.")
    arguments = parser.parse_args()
    for name in arguments.streams or names():
        stream = load_stream(name, arguments.data)
        detector = learned(stream, arguments.models)
        for rate in RATES:
            at_rate = detector.with_rate(max(rate, detector.calibration.sensible_rate))
            free = Watched(at_rate, stream, UNLIMITED, learns=False)
            for budget in (None, BUDGET) if rate == RATES[0] else (None,):
                watched = Watched(at_rate, stream, budget)
                fixed = Watched(at_rate, stream, budget, learns=False)
                record("watch_rate", figures(stream, at_rate, watched, fixed, free))
            if at_rate.rate > rate:
                break


def learned(stream: OrderedStream, folder: Path | None) -> Detector:
    """Returns the detector of a stream."""
    path = folder / f"{stream.name}.onward" if folder else None
    if path and path.exists():
        return Detector.load(path)
    detector = learn_detector(stream.learned, LearnSettings(in_order=stream.in_order))
    if path:
        detector.save(path)
    return detector


class Watched:
    """A watch of a stream, and what it found.

    Attributes:
        budget: the budget, if any.
        opened: whether each judged sequence opened an incident, (n,).
        alarmed: whether each judged sequence has an alarm, (n,).
        highest: the highest score.
        suppressed: number of suppressed sequences.
        seconds: how long the watch took.
    """

    def __init__(
        self, detector: Detector, stream: OrderedStream, budget: AlarmBudget | None, *, learns: bool = True
    ) -> None:
        self.budget = budget
        self.opened, self.alarmed = (np.zeros(len(stream.judged), bool) for _ in range(2))
        self.highest = -np.inf
        monitor = Monitor(detector, budget=budget, learns=learns, on_verdict=self._note)
        started, batch = time.perf_counter(), list[Record]()
        for place, sequence in enumerate(stream.judged):
            last = len(sequence.events) - 1
            batch += [
                Record(str(place), event, sequence.seconds, event, place, i == last)
                for i, event in enumerate(sequence.events)
            ]
            if len(batch) >= AT_ONCE or place == len(stream.judged) - 1:
                for alarm in monitor.feed(batch):
                    self.alarmed[int(alarm.key)] = True
                    self.opened[int(alarm.key)] |= alarm.is_news
                monitor.commit()
                batch = []
        monitor.end()
        self.seconds = time.perf_counter() - started
        self.suppressed = monitor.counts.suppressed

    def _note(self, _: int, verdict: Verdict) -> None:
        self.highest = max(self.highest, verdict.score)


def figures(
    stream: OrderedStream, detector: Detector, watched: Watched, fixed: Watched, free: Watched
) -> dict[str, Any]:
    """Returns the figures of a watch, beside one that does not learn, and one without rate control too."""
    is_anomalous = np.array([sequence.is_anomalous for sequence in stream.judged])
    normal, wrong = np.flatnonzero(~is_anomalous), np.flatnonzero(is_anomalous)
    rise = max(0.0, watched.highest - detector.calibration.threshold(detector.rate))
    if watched.budget:
        seconds = stream.judged[-1].seconds - stream.judged[0].seconds
        most = watched.budget.per_second * seconds + rise / STEP + 1
    else:
        most = detector.rate * len(stream.judged) + rise / STEP + 1

    def shares(flags: np.ndarray) -> list[float]:
        return [round(float(flags[part].mean()), 5) for part in np.array_split(normal, 10)]

    return {
        "stream": stream.name,
        "asked": str(watched.budget) if watched.budget else detector.rate,
        "rate": detector.rate,
        "learned": len(stream.learned),
        "normal": len(normal),
        "anomalous": len(wrong),
        "days": round(stream.days, 2),
        "tenths": shares(watched.opened),
        "tenths_fixed": shares(fixed.opened),
        "tenths_without": shares(free.opened),
        "incidents": int(watched.opened.sum()),
        "incidents_fixed": int(fixed.opened.sum()),
        "incidents_without": int(free.opened.sum()),
        "incidents_of_normal": int(watched.opened[normal].sum()),
        "most": round(most, 1),
        "rise": round(rise, 2),
        "suppressed": watched.suppressed,
        "found": round(float(watched.alarmed[wrong].mean()), 4),
        "found_fixed": round(float(fixed.alarmed[wrong].mean()), 4),
        "found_without": round(float(free.alarmed[wrong].mean()), 4),
        "stretches_found": stretches_found(is_anomalous, watched.alarmed),
        "stretches_found_fixed": stretches_found(is_anomalous, fixed.alarmed),
        "stretches_found_without": stretches_found(is_anomalous, free.alarmed),
        "seconds": round(watched.seconds, 1),
        "seconds_fixed": round(fixed.seconds, 1),
        "seconds_without": round(free.seconds, 1),
    }


def stretches_found(is_anomalous: Sequence[bool] | np.ndarray, alarmed: np.ndarray) -> float:
    """Returns the share of runs of anomalous sequences in which at least one has an alarm."""
    runs = [
        [place for place, _ in run]
        for label, run in groupby(enumerate(is_anomalous), key=lambda each: bool(each[1]))
        if label
    ]
    return round(float(np.mean([alarmed[run].any() for run in runs])), 4)


if __name__ == "__main__":
    main()
