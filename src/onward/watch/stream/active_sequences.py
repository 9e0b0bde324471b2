"""The open sequences of a stream: the most recent in memory, the others in the store."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

from onward.errors import InputError
from onward.printable import shown_value
from onward.stored import checked
from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.features import Peaks
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.stream.store import SequenceRow, WatchStore

IN_MEMORY = 20_000
"""Default number of sequences in memory; each takes some kilobytes."""

KEPT_EVENTS = 10_000
"""Number of the last events of a sequence whose names are kept; `onward watch ok` learns from these."""

_LONGEST_LINE = 1000
"""Maximum number of characters of a line to keep."""

_KEPT_CAUSES = 8
"""Number of distinct events of a sequence, never seen before, that are kept as causes of its alarm."""


@dataclass
class ActiveSequence:
    """A sequence that has not ended.

    Attributes:
        key: key of the sequence.
        number: line number of its first record.
        sequence: its state in the detector.
        events: names of its last events.
        seen: time of its last record by the event clock.
        time: time of its last record as written in the record.
        alarmed: whether an alarm was raised for it.
        line: its most surprising line.
        line_number: number of this line.
        last: its last line.
        last_number: number of the last line.
        worst: its most surprising event.
        unseen: the causes of its first events that the detector has never seen.
        peaks: its peaks after its last event; None if they were not computed in this process.
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
    worst: str = ""
    unseen: list[str] = field(default_factory=list)
    peaks: Peaks | None = None

    def add(self, record: Record, seen: float, *, is_worst: bool, unseen: str | None) -> None:
        """Notes a record that the detector has read.

        Args:
            record: the record.
            seen: its time by the event clock.
            is_worst: whether it is the most surprising one so far.
            unseen: its cause if the detector has never seen its event.
        """
        self.events.append(record.event)
        if len(self.events) > 2 * KEPT_EVENTS:
            del self.events[:-KEPT_EVENTS]
        self.seen = seen
        self.time = record.time if record.time is not None else self.time
        self.last, self.last_number = record.line[:_LONGEST_LINE], record.number
        if is_worst:
            self.line, self.line_number, self.worst = self.last, self.last_number, record.event
        if unseen and len(self.unseen) < _KEPT_CAUSES and unseen not in self.unseen:
            self.unseen.append(unseen)

    def to_row(self) -> SequenceRow:
        return SequenceRow(
            self.key,
            self.number,
            self.seen,
            self.time,
            int(self.alarmed),
            self.line,
            self.line_number,
            self.last,
            self.last_number,
            self.worst,
            json.dumps(self.unseen),
            self.events_json(),
            self.sequence.to_bytes(),
        )

    @classmethod
    def from_row(cls, row: SequenceRow, detector: Detector) -> "ActiveSequence":
        """Returns the sequence of a row.

        Raises:
            ValueError, InputError: its events or its state are damaged.
        """
        return cls(
            row.key,
            row.number,
            detector.restore(row.state),
            checked(list[str], json.loads(row.events)),
            row.seen,
            row.time,
            bool(row.alarmed),
            row.line,
            row.line_number,
            row.last,
            row.last_number,
            row.worst,
            checked(list[str], json.loads(row.unseen)),
        )

    def events_json(self, later: int = 0) -> str:
        """Returns the names of the last events as JSON, without those of this many later events."""
        return json.dumps(self.events[: len(self.events) - later][-KEPT_EVENTS:])


class ActiveSequences:
    """The open sequences by key.

    Args:
        store: holds the sequences that do not fit into memory, and all when `save` is called.
        detector: makes the sequences.
        in_memory: number of sequences to hold in memory.

    Raises:
        InputError: `in_memory` is below 1.
    """

    def __init__(self, store: WatchStore, detector: Detector, in_memory: int = IN_MEMORY) -> None:
        if in_memory < 1:
            raise InputError(
                f"expected 1 or more sequences in memory, got {in_memory}",
                hint=f"leave out --in-memory for the default of {IN_MEMORY:,}",
            )
        self._store, self._detector, self._limit = store, detector, in_memory
        self._held: dict[str, ActiveSequence] = {}  # the most recent last
        self._changed: set[str] = set()
        self._stored = set(store.keys())  # keys with a row in the store, which may be outdated

    def use(self, detector: Detector) -> None:
        """Opens and restores sequences with another version of the detector from now on."""
        self._detector = detector

    def __contains__(self, key: str) -> bool:
        return key in self._held or key in self._stored

    def __len__(self) -> int:
        return len(self._stored) + sum(key not in self._stored for key in self._held)

    def get(self, keys: Sequence[str]) -> dict[str, ActiveSequence]:
        """Returns the open sequences among the keys. They may be changed until the next call of `trim`.

        Raises:
            ArtefactError: a sequence in the store is damaged.
        """
        missing = [key for key in keys if key not in self._held and key in self._stored]
        for row in self._store.find_sequences(missing) if missing else ():
            with self._store.refusing_damage(f"the sequence {shown_value(row.key)}"):
                self._held[row.key] = ActiveSequence.from_row(row, self._detector)
        return {key: self._held[key] for key in keys if key in self._held}

    def begin(self, record: Record, seen: float) -> ActiveSequence:
        """Returns a new sequence that a record begins. The record itself is not added yet."""
        return ActiveSequence(record.key, record.number, self._detector.open(), [], seen, record.time)

    def touch(self, sequences: Iterable[ActiveSequence]) -> None:
        """Notes that sequences were begun or changed."""
        for sequence in sequences:
            self._held.pop(sequence.key, None)
            self._held[sequence.key] = sequence
            self._changed.add(sequence.key)

    def remove(self, sequences: Iterable[ActiveSequence]) -> None:
        """Removes sequences that have ended, unless another one is open under the key."""
        ended = [each.key for each in sequences if self._held.get(each.key) is each]
        for key in ended:
            self._held.pop(key, None)
        self._changed.difference_update(ended)
        stored = [key for key in ended if key in self._stored]
        if stored:
            self._store.remove_sequences(stored)
            self._stored.difference_update(stored)

    def flag(self, sequence: ActiveSequence) -> None:
        """Stores the events of a flagged sequence that has ended, so that the detector can learn them."""
        self._store.flag(sequence.key, sequence.number, sequence.events_json())

    def flag_open(self, key: str, number: int, length: int) -> None:
        """Notes that an alarm was raised for a sequence, and stores its events; unless it has ended.

        Args:
            key: key of the sequence.
            number: line number of its first record.
            length: number of its events up to the alarm.
        """
        sequence = self.get([key]).get(key)
        if sequence and sequence.number == number:
            sequence.alarmed = True
            self.touch([sequence])
            later = sequence.sequence.length - length
            self._store.flag(key, number, sequence.events_json(later))

    def idle(self, since: float, most: int | None = None) -> list[ActiveSequence]:
        """Returns the sequences last seen before a time, in the order of their last and first records.

        Args:
            since: the time.
            most: return at most this many; None: all.
        """
        keys = self._store.idle_keys(since, most)
        if most is not None and not self._held.keys().isdisjoint(keys):
            keys = self._store.idle_keys(since, most + len(self._held))
        self.get([key for key in keys if key not in self._held][:most])
        found = [sequence for sequence in self._held.values() if sequence.seen < since]
        return nsmallest(
            len(found) if most is None else most,
            found,
            key=lambda sequence: (sequence.seen, sequence.number, sequence.key),
        )

    def trim(self) -> None:
        """Moves the least recent sequences to the store, down to the limit."""
        surplus = len(self._held) - self._limit
        if surplus > 0:
            keys = [key for _, key in zip(range(surplus), self._held, strict=False)]
            self._write(key for key in keys if key in self._changed)
            for key in keys:
                del self._held[key]

    def save(self) -> None:
        """Writes all changes to the store."""
        self._write(list(self._changed))

    def _write(self, keys: Iterable[str]) -> None:
        written = list(keys)
        self._store.save_sequences(self._held[key].to_row() for key in written)
        self._stored.update(written)
        self._changed.difference_update(written)
