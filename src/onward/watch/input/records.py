"""Records: the common form that every source of events is read into."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from onward.watch.input.excess import describe_excess


class Record(NamedTuple):
    """One event.

    Attributes:
        key: names the sequence that the event belongs to, such as a host, a session or a block.
        event: name of the event.
        time: seconds since 1970; None if the source has no times.
        line: the line that holds the event, without its line end.
        number: number of that line, from 1.
        last: whether the sequence ends with this event.
    """

    key: str
    event: str
    time: float | None
    line: str
    number: int
    last: bool = False


@dataclass
class UnreadableLines:
    """Counts the lines that could not be parsed.

    Attributes:
        count: number of these lines.
        examples: number and problem of the first three.
    """

    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, reason: str) -> None:
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append((number, reason))

    def message(self) -> str:
        """Returns one sentence with the count and the examples; "" if all lines were readable."""
        if not self.count:
            return ""
        shown = "; ".join(f"line {number}: {reason}" for number, reason in self.examples)
        lines = "line" if self.count == 1 else "lines"
        return f"{self.count:,} {lines} could not be read ({shown}{'; ...' if self.count > 3 else ''})"


@dataclass(frozen=True)
class KeyedSequence:
    """The events of one key, in order.

    Attributes:
        key: names the sequence.
        events: names of the events.
        lines: the line number of each event.
        excesses: words on the measures that are above their bounds, by line number.
    """

    key: str
    events: list[str]
    lines: list[int]
    excesses: dict[int, str] = field(default_factory=dict)


def group_by_key(records: Iterable[Record]) -> list[KeyedSequence]:
    """Returns the sequences of records that may be interleaved, in the order of their first records."""
    open_sequences: dict[str, KeyedSequence] = {}
    found: list[KeyedSequence] = []
    for record in records:
        sequence = open_sequences.get(record.key)
        if sequence is None:
            sequence = open_sequences[record.key] = KeyedSequence(record.key, [], [])
            found.append(sequence)
        if excess := describe_excess(record.event, record.line):
            sequence.excesses[record.number] = excess
        sequence.events.append(record.event)
        sequence.lines.append(record.number)
        if record.last:
            del open_sequences[record.key]
    return found
