"""Many short sequences: as one array of ids, and as the blocks that training reads.

Lanes of a text go on from block to block. Sequences do not: each begins at BEGIN in the initial state and
ends with END, so a batch is B sequences side by side, padded behind their ends:

    x = BEGIN s_0 ... s_{L-1}          NULL   ...
    y = s_0   s_1 ... END              PADDING ...
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from onward.data.hashing import mixed
from onward.data.lanes import PADDING, Block
from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN
from onward.errors import CorpusError, RecipeError

_BATCHES_AT_ONCE = 32
"""Batches among whose sequences those of like length are put together."""


@dataclass(frozen=True)
class Sequences:
    """Sequences of ids, one after another.

    Attributes:
        ids: of all of them, (N,) in int64, without BEGIN and END.
        starts: where each begins, and N, (n + 1,).
    """

    ids: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, sequences: Iterable[np.ndarray]) -> "Sequences":
        """Those, each (L,)."""
        parts = [np.asarray(sequence, np.int64) for sequence in sequences]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
        return cls(np.concatenate([np.zeros(0, np.int64), *parts]), starts.astype(np.int64))

    def __len__(self) -> int:
        """n."""
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """One of them, (L,)."""
        return self.ids[self.starts[index] : self.starts[index + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        """One after another."""
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """L of each, (n,)."""
        return np.diff(self.starts)

    def take(self, indices: np.ndarray) -> "Sequences":
        """Those of the indices given, in that order."""
        return Sequences.of([self[index] for index in indices.tolist()])

    def distinct(self) -> tuple["Sequences", np.ndarray]:
        """Each sequence once, and for each of these the place of its like, (n,)."""
        seen: dict[bytes, int] = {}
        places = np.array([seen.setdefault(part.tobytes(), len(seen)) for part in self], np.int64)
        firsts = np.unique(places, return_index=True)[1] if len(places) else places
        return self.take(firsts), places

    def padded(self, indices: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions from start to stop of a batch: x and y, each (T, B) in int64, as drawn above."""
        lengths = self.lengths[indices]
        places = np.arange(start - 1, stop)[:, None]  # of s; that of x lies one behind that of y
        inside = (places >= 0) & (places < lengths)
        found = np.where(inside, places + self.starts[indices], 0)
        rows = self.ids[found] if len(self.ids) else np.zeros(found.shape, np.int64)
        rows = np.where(inside, rows, PADDING)
        rows[places[:, 0] == -1] = BEGIN
        y = np.where(places[1:] == lengths, END, rows[1:])
        return np.where(rows[:-1] == PADDING, NULL, rows[:-1]), y


class _Piece(NamedTuple):
    """Of a batch, the positions from start to stop."""

    indices: np.ndarray
    start: int
    stop: int


class SequenceLanes:
    """An endless sequence of blocks over sequences, in another order each epoch, with a cursor to be saved.

    Args:
        sequences: at least one.
        lanes: B, sequences side by side.
        steps: T, positions in a block; longer batches go on in the next block with the state they had.
        unknown: as for `Lanes`.
        seed: of the order, and of what is read as UNKNOWN.

    Raises:
        CorpusError: there are no sequences.
        RecipeError: no lanes, or no steps.

    Attributes:
        lanes: B; where the last batch of an epoch has fewer sequences, the other lanes are padding.
        epoch: how many epochs have ended.
    """

    def __init__(
        self,
        sequences: Sequences,
        *,
        lanes: int,
        steps: int,
        unknown: np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        if lanes < 1 or steps < 1:
            raise RecipeError(f"expected at least 1 lane of 1 step, got lanes={lanes}, steps={steps}")
        if len(sequences) == 0:
            raise CorpusError("expected at least one sequence to train on, got none")
        self.lanes = min(lanes, len(sequences))
        self.steps, self.epoch = steps, 0
        self._sequences, self._seed = sequences, seed
        self._thresholds = None if unknown is None else (unknown * 2.0**32).astype(np.uint64)
        self._offset = 0
        self._read = self._hidden()
        self._pieces = self._plan()

    @property
    def blocks_per_epoch(self) -> int:
        """Of this epoch; another one has about as many."""
        return len(self._pieces)

    @property
    def position(self) -> dict[str, int]:
        """The cursor: epochs ended, and blocks of this one read."""
        return {"epoch": self.epoch, "offset": self._offset}

    def move(self, position: dict[str, int]) -> None:
        """Goes to a `position` of these lanes.

        Raises:
            CorpusError: a cursor of other sequences.
        """
        self.epoch, self._offset = position["epoch"], position["offset"]
        self._read, self._pieces = self._hidden(), self._plan()
        if self.epoch < 0 or not 0 <= self._offset < len(self._pieces):
            raise CorpusError(
                f"expected a place in {len(self._pieces)} blocks, got {position}",
                hint="go to a position of the same sequences",
            )

    def next(self) -> Block:
        """The block at the cursor, which then stands behind it."""
        indices, start, stop = self._pieces[self._offset]
        x, y = self._read.padded(indices, start, stop)
        missing = ((0, 0), (0, self.lanes - len(indices)))
        x, y = np.pad(x, missing, constant_values=NULL), np.pad(y, missing, constant_values=PADDING)
        self._offset += 1
        if self._offset == len(self._pieces):
            self.epoch, self._offset = self.epoch + 1, 0
            self._read, self._pieces = self._hidden(), self._plan()
        return Block(torch.from_numpy(x), torch.from_numpy(y), start == 0)

    def _hidden(self) -> Sequences:
        """The sequences as this epoch reads them: what is rare is UNKNOWN at some of its places."""
        if self._thresholds is None:
            return self._sequences
        ids = self._sequences.ids
        drawn = mixed(np.arange(len(ids)), self._seed, 2 * self.epoch)
        return Sequences(np.where(drawn < self._thresholds[ids], UNKNOWN, ids), self._sequences.starts)

    def _plan(self) -> list[_Piece]:
        """The blocks of this epoch: batches of like length, in any order, the blocks of a batch in theirs."""
        count, size = len(self._sequences), self.lanes
        drawn = mixed(np.arange(count), self._seed, 2 * self.epoch + 1)
        order = np.argsort(drawn, kind="stable")
        lengths = self._sequences.lengths
        batches: list[np.ndarray] = []
        for first in range(0, count, size * _BATCHES_AT_ONCE):
            part = order[first : first + size * _BATCHES_AT_ONCE]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        batches.sort(key=lambda batch: int(drawn[batch[0]]))
        return [
            _Piece(batch, start, min(start + self.steps, int(lengths[batch].max()) + 1))
            for batch in batches
            for start in range(0, int(lengths[batch].max()) + 1, self.steps)
        ]
