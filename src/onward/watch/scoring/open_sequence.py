"""A sequence that has not ended: everything that scoring carries from one event to the next."""

import json
import struct
from dataclasses import dataclass, field, replace
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from onward.data.vocabulary import BEGIN
from onward.errors import InputError
from onward.stored import AsTuple, Count, Number, checked, describe
from onward.watch.scoring.features import EventScore, Expected, Peaks
from onward.watch.scoring.ngram import ORDER
from onward.watch.scoring.surprise import NO_SURPRISE, TOP, RunningSurprise

MOST_SURPRISING = 3
"""Number of most surprising events of a sequence that are kept."""

_MAGIC = b"OW4"
_FIXED = struct.Struct("<3sqqqddqq")


@dataclass
class OpenSequence:
    """The state of one sequence. `Detector.observe` updates it.

    The model has read all events except the last one, so no probabilities have to be stored.

    Attributes:
        state: the tensors of the recurrent state, flattened and concatenated, in float32.
        pending: the id that the model reads next: the last event, or BEGIN.
        earlier: the ids before the pending one that the n-gram model needs, the last one last.
        length: number of events.
        surprise: the surprise by the mixture.
        ngram: the surprise by the n-gram model.
        rank: highest rank of an event.
        new: the feature of this name.
        counts: how often each id occurred.
        events: the most surprising events, the most surprising first.
    """

    state: np.ndarray
    pending: int = BEGIN
    earlier: tuple[int, ...] = (BEGIN,) * (ORDER - 2)
    length: int = 0
    surprise: RunningSurprise = NO_SURPRISE
    ngram: RunningSurprise = NO_SURPRISE
    rank: int = 0
    new: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)
    events: tuple[EventScore, ...] = ()

    @property
    def peaks(self) -> Peaks:
        """What never falls while the sequence goes on."""
        return Peaks(
            self.length,
            self.surprise.total,
            self.surprise.top,
            self.ngram.total,
            self.ngram.top,
            self.new,
            self.rank,
        )

    def add(self, score: EventScore, ngram_bits: float, unseen_words: float = 0.0) -> None:
        """Adds the next event, or the END.

        Args:
            score: its score.
            ngram_bits: its bits by the n-gram model.
            unseen_words: see `EventVocabulary.unseen_word_share`.
        """
        self.surprise = self.surprise.add(score.bits)
        self.ngram = self.ngram.add(ngram_bits)
        self.rank = max(self.rank, score.rank)
        self.new += score.new + unseen_words
        if len(self.events) < MOST_SURPRISING or score.bits > self.events[-1].bits:
            self.events = tuple(sorted((*self.events, score), key=lambda e: -e.bits)[:MOST_SURPRISING])

    def advance(self, event: int) -> None:
        """Makes an event the pending one."""
        self.earlier = (*self.earlier[1:], self.pending)
        self.pending = event
        self.length += 1

    def copy(self) -> "OpenSequence":
        return replace(self, counts=dict(self.counts))

    def to_bytes(self) -> bytes:
        """Returns the sequence in about a thousand bytes; `from_bytes` restores it exactly."""
        numbers = (self.pending, self.length, self.rank, self.surprise.total, self.ngram.total)
        counts = np.array([*self.counts, *self.counts.values()], np.uint32)
        events = [[e.position, e.event, e.bits, e.rank, e.new, e.expected] for e in self.events]
        rest = json.dumps([self.surprise.tops, self.ngram.tops, self.new, self.earlier, events]).encode()
        fixed = _FIXED.pack(_MAGIC, *numbers, len(self.state), len(counts))
        return fixed + self.state.astype("<f4").tobytes() + counts.astype("<u4").tobytes() + rest

    @classmethod
    def from_bytes(cls, data: bytes) -> "OpenSequence":
        """Returns the sequence that `to_bytes` wrote.

        Raises:
            InputError: the bytes are not an open sequence.
        """
        try:
            magic, *numbers, size, kinds = _FIXED.unpack_from(data)
            if magic != _MAGIC:
                raise ValueError(f"it begins with {magic!r}")
            if min(size, kinds) < 0 or kinds % 2:
                raise ValueError(f"it has {size} numbers of the state and {kinds} of the counts")
            state = np.frombuffer(data, "<f4", size, _FIXED.size).astype(np.float32)
            if not np.isfinite(state).all():
                raise ValueError("its state has infinity or NaN")
            counts = np.frombuffer(data, "<u4", kinds, _FIXED.size + 4 * size).tolist()
            first = checked(_First, tuple(numbers))
            rest = checked(_Rest, tuple(json.loads(data[_FIXED.size + 4 * (size + kinds) :])))
        except (struct.error, ValueError, TypeError, RecursionError) as error:
            raise InputError(
                f"expected the bytes of an open sequence, got {data[:16]!r}: {describe(error)}",
                hint="use the result of `to_bytes` of the same version of onward",
            ) from error
        half = kinds // 2
        found = dict(zip(counts[:half], counts[half:], strict=True))
        kept = tuple(
            EventScore(position, event, bits, rank_, tuple(Expected(*e) for e in expected), is_new)
            for position, event, bits, rank_, is_new, expected in rest.events
        )
        return cls(
            state,
            first.pending,
            tuple(rest.earlier),
            first.length,
            RunningSurprise(first.total, tuple(rest.tops)),
            RunningSurprise(first.ngram_total, tuple(rest.ngram_tops)),
            first.rank,
            rest.new,
            found,
            kept,
        )


class _First(NamedTuple):
    """The numbers at the start of the bytes, in the order of `_FIXED`."""

    pending: Count
    length: Count
    rank: Count
    total: Number
    ngram_total: Number


class _StoredEvent(NamedTuple):
    """An `EventScore` as `to_bytes` writes it."""

    position: Count
    event: str
    bits: Number
    rank: Count
    new: bool
    expected: list[Annotated[tuple[str, Number], AsTuple]]


_Tops = Annotated[list[Number], Field(min_length=TOP, max_length=TOP)]


class _Rest(NamedTuple):
    """The JSON at the end of the bytes."""

    tops: _Tops
    ngram_tops: _Tops
    new: Number
    earlier: Annotated[list[Count], Field(min_length=ORDER - 2, max_length=ORDER - 2)]
    events: Annotated[list[Annotated[_StoredEvent, AsTuple]], Field(max_length=MOST_SURPRISING)]
