"""Alarms: the reports about sequences that deviate.

An alarm is an `Alarm` from the monitor to the output. It is JSON only in the store and in the output.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from onward.printable import printable, printable_json
from onward.stored import Count, Number, StoredModel
from onward.watch.input.excess import describe_excess
from onward.watch.scoring.features import CountDifference, EventScore, Expected
from onward.watch.stream.causes import is_first_seen
from onward.watch.stream.incidents import in_partition
from onward.watch.stream.iso_time import seconds_of, time_text


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
class Membership:
    """The place of an alarm in its incident.

    Attributes:
        incident: number of the incident; 0: the alarm has no incident yet.
        cause: the cause of the incident.
        repeats: number of the incident's alarms before this one; 0 for the alarm that opens the incident.
        keys: number of distinct keys in the incident, with this one.
        earlier: number of earlier incidents with the same cause.
        previous: time of the last alarm of these, in seconds since 1970; None if it is not known.
    """

    incident: int = 0
    cause: str = ""
    repeats: int = 0
    keys: int = 0
    earlier: int = 0
    previous: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "incident": self.incident,
            "cause": self.cause,
            "repeats": self.repeats,
            "keys": self.keys,
            "earlier": self.earlier,
            "previous": time_text(self.previous),
        }

    @classmethod
    def of_stored(cls, stored: "_StoredAlarm") -> "Membership":
        """Returns the place of an alarm in JSON."""
        previous = seconds_of(stored.previous)
        return cls(stored.incident, stored.cause, stored.repeats, stored.keys, stored.earlier, previous)

    def describe(self, partition: int | None = None) -> str:
        """Returns a few words for people, such as "incident 7, again: 2 before, last at 2026-01-02T...".

        Args:
            partition: see `Alarm`.
        """
        incident = f"incident {self.incident}{in_partition(partition)}"
        if not self.earlier:
            return incident
        last = f", last at {time_text(self.previous)}" if self.previous is not None else ""
        return f"{incident}, again: {self.earlier:,} before{last}"


_NOT_IN_AN_INCIDENT = Membership()


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
        membership: the place of the alarm in its incident.
        partition: the partition of a topic that the watch reads, which counts its own alarms and incidents;
            None: the source has no partitions.
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
    membership: Membership = _NOT_IN_AN_INCIDENT
    partition: int | None = None

    @property
    def is_news(self) -> bool:
        """Whether it opens an incident. If not, the incident was reported before."""
        return self.membership.repeats == 0

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values with rounded numbers; `from_json` and `to_json` again give the same values."""
        data = {
            "type": "alarm",
            "alarm": self.number,
            **self.membership.to_json(),
            "key": self.key,
            "began": self.began,
            "time": time_text(self.time),
            "ended": self.ended,
            "p_value": float(f"{self.p_value:.6g}"),
            "speaks": self.main_feature,
            "line": self.line,
            "number": self.line_number,
            "counts": [difference._asdict() for difference in self.counts],
        }
        data |= self.event.to_json() if self.event else {}
        return data if self.partition is None else data | {"partition": self.partition}

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
            time=seconds_of(stored.time),
            ended=stored.ended,
            p_value=stored.p_value,
            main_feature=stored.speaks,
            line=stored.line,
            line_number=stored.number,
            event=UnexpectedEvent.of_stored(stored),
            counts=tuple(CountDifference(one.event, one.found, one.normal) for one in stored.counts),
            membership=Membership.of_stored(stored),
            partition=stored.partition,
        )

    def encode(self) -> str:
        """Returns the alarm as one line of JSON, without control characters."""
        return printable_json(self.to_json())

    def as_line(self) -> str:
        """Returns one line for people: time, key, p-value, line, reason and incident, separated by tabs."""
        cells = [
            time_text(self.time) or "-",
            self.key,
            f"p{'=' if self.ended else '<='}{self.p_value:.3g}",
            f"{self.line_number}: {self.line}",
            self._reason(),
            self.membership.describe(self.partition),
        ]
        return "\t".join(map(printable, cells))

    def _reason(self) -> str:
        cause, explanation = self.membership.cause, self._explanation()
        return f"{cause}; {explanation}" if is_first_seen(cause) else explanation

    def _explanation(self) -> str:
        if self.main_feature == "counts" and self.counts:
            return describe_counts(self.counts)
        if self.event is None:
            return self.main_feature
        excess = describe_excess(self.event.event, self.line)
        expected = ", ".join(f"{one.event} {one.probability:.2f}" for one in self.event.expected)
        new = ", new here" if self.event.new else ""
        reason = f"expected {expected}; found {self.event.event} ({self.event.bits:.1f} bits{new})"
        return f"{excess}; {reason}" if excess else reason


class _StoredExpected(StoredModel):
    event: str
    probability: Number


class _StoredDifference(StoredModel):
    event: str
    found: Count
    normal: Count


class _StoredAlarm(StoredModel):
    """What `Alarm.to_json` returns."""

    type: Literal["alarm"]
    alarm: Count
    incident: Count
    cause: str
    repeats: Count
    keys: Count
    earlier: Count
    previous: str | None
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
    partition: Count | None = None


def describe_counts(counts: Iterable[CountDifference]) -> str:
    """Returns a sentence about events that are too frequent or too rare."""
    names = "; ".join(f"{one.found} x {one.event}, normally {one.normal}" for one in counts)
    return f"some events are too frequent or too rare{f' ({names})' if names else ''}"
