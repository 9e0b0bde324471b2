"""A sequence that has not ended: all that is carried from one of its events to the next, as a value."""

import json
import struct
from dataclasses import dataclass, field, replace

import numpy as np

from onward.data.vocabulary import BEGIN
from onward.errors import InputError
from onward.watch.scoring.features import BURST, EventScore, Expected
from onward.watch.scoring.ngram import ORDER

KEPT = 3
"""Events that are kept of each sequence, those that surprised most."""

_MAGIC = b"OW2"
_FIXED = struct.Struct("<3sqqqdddqq")


@dataclass
class OpenSequence:
    """One sequence as far as it has been read. `Detector.observe` moves it on.

    The model has read all of it but the last event, so that no probabilities need to be kept.

    Attributes:
        state: the tensors of the recurrent state one after another, in float32.
        pending: the id that the model reads next: that of the last event, or BEGIN.
        earlier: the ids before that one, as many as an n-gram looks back for, the latest last.
        length: events.
        total: their bits.
        largest: bits of the most surprising.
        running: the running mean of the bits, and
        burst: the highest it came to.
        rank: the highest rank of an event.
        new: events that never occurred, or never behind the one before them.
        table: bits by the n-gram.
        counts: how often each id occurred.
        events: the most surprising ones, the most surprising first.
    """

    state: np.ndarray
    pending: int = BEGIN
    earlier: tuple[int, ...] = (BEGIN,) * (ORDER - 2)
    length: int = 0
    total: float = 0.0
    largest: float = 0.0
    running: float = 0.0
    burst: float = 0.0
    rank: int = 0
    new: int = 0
    table: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)
    events: tuple[EventScore, ...] = ()

    def take(self, score: EventScore, table_bits: float) -> None:
        """Adds what one event, or the END, was found to be, and its bits by the n-gram."""
        self.table += table_bits
        self.total += score.bits
        self.largest = max(self.largest, score.bits)
        self.running += BURST * (score.bits - self.running)
        self.burst = max(self.burst, self.running)
        self.rank = max(self.rank, score.rank)
        self.new += score.new
        if len(self.events) < KEPT or score.bits > self.events[-1].bits:
            self.events = tuple(sorted((*self.events, score), key=lambda e: -e.bits)[:KEPT])

    def move_to(self, event: int) -> None:
        """Has an event as its last one from now on."""
        self.earlier = (*self.earlier[1:], self.pending)
        self.pending = event
        self.length += 1

    def copy(self) -> "OpenSequence":
        """One that goes on by itself."""
        return replace(self, counts=dict(self.counts))

    def to_bytes(self) -> bytes:
        """The sequence in about a thousand bytes; `from_bytes` undoes it exactly."""
        numbers = (self.pending, self.length, self.rank, self.total, self.largest, self.running)
        counts = np.array([*self.counts, *self.counts.values()], np.uint32)
        events = [[e.position, e.event, e.bits, e.rank, e.new, e.expected] for e in self.events]
        rest = json.dumps([self.burst, self.new, self.table, self.earlier, events]).encode()
        fixed = _FIXED.pack(_MAGIC, *numbers, len(self.state), len(counts))
        return fixed + self.state.astype("<f4").tobytes() + counts.astype("<u4").tobytes() + rest

    @classmethod
    def from_bytes(cls, data: bytes) -> "OpenSequence":
        """The sequence that `to_bytes` wrote.

        Raises:
            InputError: anything else.
        """
        try:
            magic, pending, length, rank, total, largest, running, size, kinds = _FIXED.unpack_from(data)
            if magic != _MAGIC:
                raise ValueError(f"it begins with {magic!r}")
            state = np.frombuffer(data, "<f4", size, _FIXED.size).astype(np.float32)
            counts = np.frombuffer(data, "<u4", kinds, _FIXED.size + 4 * size).tolist()
            burst, new, table, earlier, events = json.loads(data[_FIXED.size + 4 * (size + kinds) :])
            kept = tuple(
                EventScore(position, event, bits, rank_, tuple(Expected(*e) for e in expected), is_new)
                for position, event, bits, rank_, is_new, expected in events
            )
        except (struct.error, ValueError, TypeError) as error:
            raise InputError(
                f"expected the bytes of an open sequence, got {data[:16]!r}: {error}",
                hint="give what `to_bytes` of the same version of onward gave",
            ) from error
        half = kinds // 2
        found = dict(zip(counts[:half], counts[half:], strict=True))
        numbers = (length, total, largest, running, burst, rank, new, table)
        return cls(state, pending, tuple(earlier), *numbers, found, kept)
