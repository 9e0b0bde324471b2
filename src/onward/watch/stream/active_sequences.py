"""The sequences in flight: those touched last in memory, the others in the store."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from onward.errors import InputError
from onward.watch.input.records import Record
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.stream.store import Row, WatchStore

IN_MEMORY = 20_000
"""Sequences that are held in memory, at some kilobytes each."""

REMEMBERED = 10_000
"""Last events of a sequence that are remembered by name; `onward watch ok` learns from no more."""

_SHOWN = 1000


@dataclass
class ActiveSequence:
    """A sequence in flight.

    Attributes:
        key: of it.
        number: of its first record.
        sequence: as far as it has been read.
        events: its last ones, by name.
        seen: the watch's clock at its last record (see `EventClock`), and
        time: what that record itself says.
        alarmed: whether an alarm was raised for it.
        line: the line that surprised most, and
        line_number: its number.
        last: the last line, and
        last_number: its number.
    """

    key: str
    number: int
    sequence: OpenSequence
    events: list[str]
    seen: float
    time: float | None
    alarmed: bool = False
    line: str = ""
    line_number: int = 0
    last: str = ""
    last_number: int = 0

    def take(self, record: Record, seen: float, surprised_most: bool) -> None:
        """Notes a record that the sequence has read."""
        self.events.append(record.event)
        if len(self.events) > 2 * REMEMBERED:
            del self.events[:-REMEMBERED]
        self.seen = seen
        self.time = record.time if record.time is not None else self.time
        self.last, self.last_number = record.line[:_SHOWN], record.number
        if surprised_most:
            self.line, self.line_number = self.last, self.last_number

    @property
    def remembered(self) -> str:
        """The last events as JSON."""
        return json.dumps(self.events[-REMEMBERED:])


class ActiveSequences:
    """All of them, by key.

    Args:
        store: holds those that do not fit into memory, and all that `save` was called for.
        open_sequence: makes a sequence before its first event.
        in_memory: how many are held in memory.

    Raises:
        InputError: none may be held.
    """

    def __init__(
        self, store: WatchStore, open_sequence: Callable[[], OpenSequence], in_memory: int = IN_MEMORY
    ) -> None:
        if in_memory < 1:
            raise InputError(
                f"expected 1 or more sequences in memory, got {in_memory}",
                hint=f"leave out --in-memory: {IN_MEMORY:,} are held then",
            )
        self._store, self._open, self._limit = store, open_sequence, in_memory
        self._held: dict[str, ActiveSequence] = {}  # those touched last are at the end
        self._changed: set[str] = set()
        self._stored = set(store.keys())  # what the store has, perhaps as it was some time ago

    def __len__(self) -> int:
        """Sequences in flight."""
        return len(self._stored) + sum(key not in self._stored for key in self._held)

    def get(self, keys: Sequence[str]) -> dict[str, ActiveSequence]:
        """Those of the keys that are in flight. They may be changed until the next call of `trim`."""
        missing = [key for key in keys if key not in self._held and key in self._stored]
        for row in self._store.find(missing) if missing else ():
            self._held[row.key] = _flight(row)
        return {key: self._held[key] for key in keys if key in self._held}

    def begin(self, record: Record, seen: float) -> ActiveSequence:
        """A new sequence that a record begins, which it has not read yet."""
        return ActiveSequence(record.key, record.number, self._open(), [], seen, record.time)

    def touch(self, flights: Iterable[ActiveSequence]) -> None:
        """Notes that sequences have changed, or begun."""
        for flight in flights:
            self._held.pop(flight.key, None)
            self._held[flight.key] = flight
            self._changed.add(flight.key)

    def end(self, keys: Iterable[str]) -> None:
        """Takes sequences out."""
        gone = list(keys)
        for key in gone:
            self._held.pop(key, None)
        self._changed.difference_update(gone)
        stored = [key for key in gone if key in self._stored]
        if stored:
            self._store.drop(stored)
            self._stored.difference_update(stored)

    def idle(self, since: float) -> list[ActiveSequence]:
        """Those last seen before a moment, in the order of their last and then their first records."""
        self.get([key for key in self._store.idle(since) if key not in self._held])
        found = [flight for flight in self._held.values() if flight.seen < since]
        return sorted(found, key=lambda flight: (flight.seen, flight.number, flight.key))

    def trim(self) -> None:
        """Moves what was not touched for longest to the store, down to the limit."""
        surplus = len(self._held) - self._limit
        if surplus > 0:
            keys = [key for _, key in zip(range(surplus), self._held, strict=False)]
            self._write(key for key in keys if key in self._changed)
            for key in keys:
                del self._held[key]

    def save(self) -> None:
        """Writes all that has changed to the store."""
        self._write(list(self._changed))

    def _write(self, keys: Iterable[str]) -> None:
        written = list(keys)
        self._store.keep(_row(self._held[key]) for key in written)
        self._stored.update(written)
        self._changed.difference_update(written)


def _row(flight: ActiveSequence) -> Row:
    return Row(
        flight.key,
        flight.number,
        flight.seen,
        flight.time,
        int(flight.alarmed),
        flight.line,
        flight.line_number,
        flight.last,
        flight.last_number,
        flight.remembered,
        flight.sequence.to_bytes(),
    )


def _flight(row: Row) -> ActiveSequence:
    return ActiveSequence(
        row.key,
        row.number,
        OpenSequence.from_bytes(row.state),
        json.loads(row.events),
        row.seen,
        row.time,
        bool(row.alarmed),
        row.line,
        row.line_number,
        row.last,
        row.last_number,
    )
