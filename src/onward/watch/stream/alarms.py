"""Alarms: what is said of a sequence that deviates, and a file in which each stands once."""

import datetime
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onward.errors import WriteError
from onward.printable import printable
from onward.watch.scoring.event_vocabulary import END_NAME
from onward.watch.scoring.features import EventScore, Verdict
from onward.watch.stream.active_sequences import ActiveSequence


@dataclass(frozen=True)
class Alarm:
    """One deviating sequence, told at the event that settled it, or at its end.

    Attributes:
        key: of the sequence.
        began: number of its first record; key and began name the sequence.
        time: of the record that settled it or the last one, in seconds since 1970, where records have times.
        ended: whether the sequence had ended; otherwise its end can only make it more deviating.
        p_value: of the sequence; where it had not ended, a bound that the p-value at its end is not above.
        speaks: the feature that says most.
        line: of the record that settled it; at the end, the one that surprised most, and
        number: its number.
        score: of the event of that line: what came, and what was expected.
        counts: events whose number differs from the nearest normal sequence: (event, found, normal).
    """

    key: str
    began: int
    time: float | None
    ended: bool
    p_value: float
    speaks: str
    line: str
    number: int
    score: EventScore | None
    counts: tuple[tuple[str, int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The alarm as plain values."""
        data = asdict(self) | {"time": _written(self.time), "score": None}
        del data["score"]
        if self.score:
            data |= {
                "event": self.score.event,
                "bits": round(self.score.bits, 3),
                "rank": self.score.rank,
                "new": self.score.new,
                "expected": [
                    {"event": event, "probability": round(probability, 4)}
                    for event, probability in self.score.expected
                ],
            }
        data["p_value"] = float(f"{self.p_value:.6g}")
        data["counts"] = [{"event": e, "found": found, "normal": normal} for e, found, normal in self.counts]
        return data


def at_the_end(flight: ActiveSequence, verdict: Verdict) -> Alarm:
    """The alarm of a sequence that its verdict flags."""
    worst = verdict.events[0] if verdict.events else None
    at_end = worst is not None and worst.event == END_NAME
    return Alarm(
        key=flight.key,
        began=flight.number,
        time=flight.time,
        ended=True,
        p_value=verdict.p_value,
        speaks=verdict.main_feature,
        line=flight.last if at_end else flight.line,
        number=flight.last_number if at_end else flight.line_number,
        score=worst,
        counts=verdict.counts,
    )


def alarm_line(alarm: dict[str, Any]) -> str:
    """One line for a person, of an alarm as plain values: time, key, p-value, the line, what was expected."""
    cells = [
        alarm["time"] or "-",
        alarm["key"],
        f"p{'=' if alarm['ended'] else '<='}{alarm['p_value']:.3g}",
        f"{alarm['number']}: {alarm['line']}",
        _came(alarm),
    ]
    return "\t".join(printable(cell) for cell in cells)


def counts_told(counts: Iterable[tuple[str, int, int]]) -> str:
    """Events whose number is not that in the nearest normal sequence: (event, found, normal)."""
    names = "; ".join(f"{found} x {event}, normally {normal}" for event, found, normal in counts)
    return f"events came too often or too seldom{f' ({names})' if names else ''}"


def _came(alarm: dict[str, Any]) -> str:
    """What was expected, and what came."""
    if alarm["speaks"] == "counts" and alarm["counts"]:
        return counts_told((c["event"], c["found"], c["normal"]) for c in alarm["counts"])
    if "event" not in alarm:
        return alarm["speaks"]
    expected = ", ".join(f"{e['event']} {e['probability']:.2f}" for e in alarm["expected"])
    came = f"{alarm['event']} ({alarm['bits']:.1f} bits{', new here' if alarm['new'] else ''})"
    return f"expected {expected}; came {came}"


def _written(time: float | None) -> str | None:
    """A time as ISO 8601 in UTC."""
    if time is None:
        return None
    try:
        moment = datetime.datetime.fromtimestamp(time, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time:.0f}"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class AlarmFile:
    """A file of JSON lines that gets each alarm once, whatever is killed between commit and delivery.

    The store knows how long the file was when its last transaction began. What stands beyond that was
    written by a run that was killed before it could note it; it is the beginning of what is in the outbox,
    so only the rest of that is written.

    Args:
        path: of the file; it is made if it is not there.
        length: of it in bytes, as the store knows it; None if the store knows none.

    Raises:
        WriteError: it cannot be written.
    """

    def __init__(self, path: Path, length: int | None) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            size = os.fstat(self._file).st_size
        except OSError as error:
            raise _refused(path, error) from error
        self._begun = b""
        self.length = size
        if length is not None and length <= size:
            self.length = length
            self._begun = os.pread(self._file, size - length, length)

    def write(self, alarms: list[str]) -> None:
        """Appends alarms, and flushes them to the disk.

        Raises:
            WriteError: the disk refused; the alarms stay in the outbox.
        """
        content = "".join(f"{alarm}\n" for alarm in alarms).encode()
        begun, self._begun = self._begun, b""
        if not content.startswith(begun):  # of something else: after it
            self.length += len(begun)
            begun = b""
        try:
            rest = memoryview(content)[len(begun) :]
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise _refused(self._path, error) from error
        self.length += len(content)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


def _refused(path: Path, error: OSError) -> WriteError:
    hint = "check that its folder exists and may be written to, and that the disk has room; none is lost"
    return WriteError(f"cannot write alarms to {path}: {error.strerror}", hint=hint)


def encoded(alarm: Alarm, number: int) -> str:
    """The JSON line of an alarm, the `number`th of its watch."""
    return json.dumps({"alarm": number} | alarm.to_json(), ensure_ascii=False, allow_nan=False)
