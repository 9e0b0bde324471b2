"""Alarms: the reports about sequences that deviate.

An alarm is an `Alarm` from the monitor to the output. It is JSON only in the store and in the output.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from onward.printable import printable, printable_json
from onward.stored import Count, Finite, Number, StoredModel, checked
from onward.watch.scoring.features import CountDifference, EventScore, Expected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class UnexpectedEvent:
    """The event that an alarm points at, and the events that were expected instead.

    Attributes:
        event: its name; "<end>" for the end of the sequence.
        bits: its surprise.
        rank: number of events that were more likely.
        new: whether it never occurred in training, or never after the event before it.
        expected: the most likely events.
    """

    event: str
    bits: float
    rank: int
    new: bool
    expected: tuple[Expected, ...]

    @classmethod
    def of(cls, score: EventScore) -> "UnexpectedEvent":
        return cls(score.event, score.bits, score.rank, score.new, score.expected)

    def to_json(self) -> dict[str, Any]:
        return {
            "event": self.event,
            "bits": round(self.bits, 3),
            "rank": self.rank,
            "new": self.new,
            "expected": [
                {"event": event, "probability": round(probability, 4)} for event, probability in self.expected
            ],
        }

    @classmethod
    def of_stored(cls, stored: "_StoredAlarm") -> "UnexpectedEvent | None":
        """Returns the event of an alarm in JSON; None if it has none."""
        event, bits, rank, new, expected = stored.event, stored.bits, stored.rank, stored.new, stored.expected
        if event is None or bits is None or rank is None or new is None or expected is None:
            return None
        return cls(event, bits, rank, new, tuple(Expected(one.event, one.probability) for one in expected))


@dataclass(frozen=True)
class Alarm:
    """Reports one deviating sequence: as soon as no further event can change the verdict, or at its end.

    Attributes:
        number: counts the alarms of a watch from 1.
        key: key of the sequence.
        began: line number of its first record; the key and this number identify the sequence.
        time: time of the decisive or the last record in seconds since 1970; None if records have no times.
        ended: whether the sequence had ended.
        p_value: p-value of the sequence. If it had not ended, an upper bound of the p-value at its end.
        main_feature: the feature that adds most to the score. Its name in JSON is "speaks".
        line: line of the decisive record; at the end of the sequence, its most surprising line.
        line_number: number of this line.
        event: the event of this line; None if no event is known.
        counts: events that occur more or less often than in the nearest normal sequence.
    """

    number: int
    key: str
    began: int
    time: float | None
    ended: bool
    p_value: float
    main_feature: str
    line: str
    line_number: int
    event: UnexpectedEvent | None
    counts: tuple[CountDifference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values with rounded numbers; `from_json` and `to_json` again give the same values."""
        data = {
            "alarm": self.number,
            "key": self.key,
            "began": self.began,
            "time": self.time_text,
            "ended": self.ended,
            "p_value": float(f"{self.p_value:.6g}"),
            "speaks": self.main_feature,
            "line": self.line,
            "number": self.line_number,
            "counts": [difference._asdict() for difference in self.counts],
        }
        return data | (self.event.to_json() if self.event else {})

    @classmethod
    def from_json(cls, data: Any) -> "Alarm":
        """Returns the alarm that `to_json` returned.

        Raises:
            ValueError: the data is not an alarm.
        """
        stored = _StoredAlarm.model_validate(data)
        return cls(
            number=stored.alarm,
            key=stored.key,
            began=stored.began,
            time=_seconds(stored.time),
            ended=stored.ended,
            p_value=stored.p_value,
            main_feature=stored.speaks,
            line=stored.line,
            line_number=stored.number,
            event=UnexpectedEvent.of_stored(stored),
            counts=tuple(CountDifference(one.event, one.found, one.normal) for one in stored.counts),
        )

    def encode(self) -> str:
        """Returns the alarm as one line of JSON, without control characters."""
        return printable_json(self.to_json())

    @property
    def time_text(self) -> str | None:
        """The time as ISO 8601 in UTC; as whole seconds if it is outside the years 1 to 9999."""
        if self.time is None:
            return None
        try:
            moment = _EPOCH + round(self.time * 1000) * _MILLISECOND
        except OverflowError:
            return f"{self.time:.0f}"
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def as_line(self) -> str:
        """Returns one line for people: time, key, p-value, line and explanation, separated by tabs."""
        cells = [
            self.time_text or "-",
            self.key,
            f"p{'=' if self.ended else '<='}{self.p_value:.3g}",
            f"{self.line_number}: {self.line}",
            self._explanation(),
        ]
        return "\t".join(map(printable, cells))

    def _explanation(self) -> str:
        if self.main_feature == "counts" and self.counts:
            return describe_counts(self.counts)
        if self.event is None:
            return self.main_feature
        expected = ", ".join(f"{one.event} {one.probability:.2f}" for one in self.event.expected)
        new = ", new here" if self.event.new else ""
        return f"expected {expected}; found {self.event.event} ({self.event.bits:.1f} bits{new})"


class _StoredExpected(StoredModel):
    event: str
    probability: Number


class _StoredDifference(StoredModel):
    event: str
    found: Count
    normal: Count


class _StoredAlarm(StoredModel):
    """What `Alarm.to_json` returns."""

    alarm: Count
    key: str
    began: Count
    time: str | None
    ended: bool
    p_value: Number
    speaks: str
    line: str
    number: Count
    counts: list[_StoredDifference]
    event: str | None = None
    bits: Number | None = None
    rank: Count | None = None
    new: bool | None = None
    expected: list[_StoredExpected] | None = None


def describe_counts(counts: Iterable[CountDifference]) -> str:
    """Returns a sentence about events that are too frequent or too rare."""
    names = "; ".join(f"{one.found} x {one.event}, normally {one.normal}" for one in counts)
    return f"some events are too frequent or too rare{f' ({names})' if names else ''}"


def _seconds(text: str | None) -> float | None:
    """Returns the time that `Alarm.time_text` wrote."""
    if text is None:
        return None
    if not text.endswith("Z"):
        return checked(Finite, float(text))
    return (datetime.fromisoformat(text) - _EPOCH) / _MILLISECOND / 1000
