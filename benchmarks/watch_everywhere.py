"""How well does a detector with default settings find anomalies in data that it was not developed on?

    python benchmarks/watch_everywhere.py DATA [SET ...] [--seeds 1]

DATA is the folder ../shared/data, SET a set of `watch_sets.py` (default: all). For each set, a detector is
learned with the default settings, except the rate of false alarms: 1 %, or the smallest rate that the number
of sequences allows. At most 3,000 normal and 3,000 anomalous sequences are judged.

Beside the detector's AUC stand that of its best part (a feature alone) and those of the baselines: an n-gram
of order 10 with backoff, STIDE with windows of six, and lookup tables. `tenths` is the share of normal
sequences that are flagged in each tenth of the judged part.

The users of Schonlau et al. are pooled: the score of a block is its p-value by the detector of its user, and
the hits are those at 1.3 % false alarms, as in the published results.
"""

import time
from typing import Any

import numpy as np

from onward.watch.calibration.statistics import auc_with_interval
from onward.watch.detector import Detector
from onward.watch.scoring.features import FEATURES, Verdict
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, record
from watch_sets import LabelledSet, load, names, thinned

RATE, MOST_JUDGED = 0.01, 3000
POOLED, POOLED_RATE = "schonlau", 0.013


def main() -> None:
    parser = command_line(__doc__, "data")
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    chosen = arguments.sets or [name for name in names() if not name.startswith(POOLED)] + [POOLED]
    for name in chosen:
        for seed in range(arguments.seeds):
            if name == POOLED:
                users = [load(each, arguments.data) for each in names() if each.startswith(POOLED)]
                record("watch_everywhere", pooled(users, seed))
            else:
                record("watch_everywhere", figures(load(name, arguments.data), seed))


def learn(data: LabelledSet, seed: int) -> tuple[Detector, float]:
    """Returns the detector of a set and the seconds that it took to learn."""
    started = time.perf_counter()
    detector = learn_detector(data.learned, LearnSettings(seed=seed, in_order=data.in_order))
    seconds = time.perf_counter() - started
    return detector.with_rate(max(RATE, detector.calibration.sensible_rate)), seconds


def figures(data: LabelledSet, seed: int) -> dict[str, Any]:
    """Returns the figures of a set."""
    detector, seconds = learn(data, seed)
    normal, wrong = thinned(data.normal, MOST_JUDGED), thinned(data.wrong, MOST_JUDGED)
    started = time.perf_counter()
    verdicts = detector.judge([*normal, *wrong], explain=False)
    judged = time.perf_counter() - started
    encoded = detector.vocabulary.encode([*normal, *wrong])
    parts = {name: np.array([each.features[name] for each in verdicts]) for name in FEATURES}
    baselines = detector.baselines.scores(encoded, detector.profile)

    def auc(scores: np.ndarray) -> float:
        return round(auc_with_interval(scores[: len(normal)], scores[len(normal) :])[0], 4)

    flagged = np.array([verdict.flagged for verdict in verdicts])
    return {
        "set": data.name,
        "seed": seed,
        "learned": len(data.learned),
        "events": sum(map(len, data.learned)),
        "distinct_events": len(detector.vocabulary.names),
        "normal": len(normal),
        "anomalous": len(wrong),
        "auc": auc(np.array([verdict.score for verdict in verdicts])),
        "parts": {name: auc(scores) for name, scores in parts.items()},
        "baselines": {name: auc(scores) for name, scores in baselines.items()},
        "asked": detector.rate,
        "false_alarms": round(float(flagged[: len(normal)].mean()), 4),
        "tenths": [round(float(part.mean()), 4) for part in np.array_split(flagged[: len(normal)], 10)],
        "found": round(float(flagged[len(normal) :].mean()), 4),
        "seconds_to_learn": round(seconds, 1),
        "events_per_second": round((len(encoded.ids) + len(encoded)) / judged),
    }


def pooled(users: list[LabelledSet], seed: int) -> dict[str, Any]:
    """Returns the figures of the users' blocks together."""
    normal, foreign, seconds = list[Verdict](), list[Verdict](), 0.0
    for user in users:
        detector, taken = learn(user, seed)
        seconds += taken
        normal += detector.judge(user.normal, explain=False)
        foreign += detector.judge(user.wrong, explain=False)
    scores = [-np.array([verdict.score for verdict in verdicts]) for verdicts in (normal, foreign)]
    threshold = np.quantile(scores[0], POOLED_RATE)
    return {
        "set": POOLED,
        "seed": seed,
        "normal": len(normal),
        "anomalous": len(foreign),
        "auc": round(auc_with_interval(-scores[0], -scores[1])[0], 4),
        "false_alarms": round(float((scores[0] < threshold).mean()), 4),
        "found": round(float((scores[1] < threshold).mean()), 4),
        "seconds_to_learn": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
