"""Records: what every source of events becomes before anything is learned or judged."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Record(NamedTuple):
    """One event.

    Attributes:
        key: which sequence it belongs to: a host, a session, a block.
        event: what happened, by name.
        time: when, in seconds since 1970; None where the source does not say.
        line: the line it stood in, without its end.
        number: of that line, from 1.
        last: whether the sequence ends with it.
    """

    key: str
    event: str
    time: float | None
    line: str
    number: int
    last: bool = False


@dataclass
class UnreadableLines:
    """What could not be read, for whoever reports it.

    Attributes:
        count: lines that were left out.
        examples: the first of them: the number of the line, and what was wrong with it.
    """

    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, reason: str) -> None:
        """One more."""
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append((number, reason))

    def told(self) -> str:
        """One sentence, or nothing."""
        if not self.count:
            return ""
        shown = "; ".join(f"line {number}: {reason}" for number, reason in self.examples)
        lines = "line" if self.count == 1 else "lines"
        return f"{self.count:,} {lines} could not be read ({shown}{'; ...' if self.count > 3 else ''})"


@dataclass(frozen=True)
class KeyedSequence:
    """The events of one key, in order.

    Attributes:
        key: of all of them.
        events: their names.
        lines: the numbers of the lines that they stood in.
    """

    key: str
    events: list[str]
    lines: list[int]


def grouped(records: Iterable[Record]) -> list[KeyedSequence]:
    """The sequences of records, in the order in which they begin; interleaved keys stay apart."""
    open_ones: dict[str, KeyedSequence] = {}
    found: list[KeyedSequence] = []
    for record in records:
        sequence = open_ones.get(record.key)
        if sequence is None:
            sequence = open_ones[record.key] = KeyedSequence(record.key, [], [])
            found.append(sequence)
        sequence.events.append(record.event)
        sequence.lines.append(record.number)
        if record.last:
            del open_ones[record.key]
    return found
