"""Many short sequences, stored as one array of ids and read in blocks by training.

Unlike the lanes of a text, sequences are independent: each starts with BEGIN in the initial state and ends
with END. A batch is B sequences in parallel, padded after their ends:

    x = BEGIN s_0 ... s_{L-1}          NULL   ...
    y = s_0   s_1 ... END              PADDING ...
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from onward.data.hashing import mixed
from onward.data.lanes import PADDING, Block, check_block_size
from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN
from onward.errors import CorpusError

_BATCHES_AT_ONCE = 32
"""Number of batches whose sequences are sorted by length together, so that batches need little padding."""


@dataclass(frozen=True)
class Sequences:
    """Sequences of ids, stored one after another.

    Attributes:
        ids: the ids of all sequences, (N,) in int64, without BEGIN and END.
        starts: the index at which each sequence starts, and N at the end, (n + 1,).
    """

    ids: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, sequences: Iterable[np.ndarray]) -> "Sequences":
        """Joins sequences, each (L,)."""
        parts = [np.asarray(sequence, np.int64) for sequence in sequences]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
        return cls(np.concatenate([np.zeros(0, np.int64), *parts]), starts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.ids[self.starts[index] : self.starts[index + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """The length of each sequence, (n,)."""
        return np.diff(self.starts)

    def split(self, values: np.ndarray) -> np.ndarray:
        """Returns values of the events of all sequences, each with its END, (N + n,), by sequence.

        Returns:
            An array of n arrays, (n,), which can be indexed and joined like any other.
        """
        found = np.empty(len(self), object)
        starts = self.starts + np.arange(len(self.starts))
        for i in range(len(self)):
            found[i] = values[starts[i] : starts[i + 1]]
        return found

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum for each sequence, (n,), of the values of its events and its END, (N + n,)."""
        starts = self.starts[:-1] + np.arange(len(self))
        return np.add.reduceat(values, starts) if len(self) else np.zeros(0, values.dtype)

    def take(self, indices: np.ndarray) -> "Sequences":
        """Returns the sequences with the given indices, in that order."""
        return Sequences.of([self[index] for index in indices.tolist()])

    def distinct(self) -> tuple["Sequences", np.ndarray]:
        """Returns the distinct sequences, and for each sequence of this set its index among them, (n,)."""
        seen: dict[bytes, int] = {}
        places = np.array([seen.setdefault(part.tobytes(), len(seen)) for part in self], np.int64)
        firsts = np.unique(places, return_index=True)[1] if len(places) else places
        return self.take(firsts), places

    def padded(self, indices: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns x and y (see the module) of a batch, from position start to stop, each (T, B) in int64."""
        lengths = self.lengths[indices]
        places = np.arange(start - 1, stop)[:, None]  # index of y in s; x is one behind
        inside = (places >= 0) & (places < lengths)
        found = np.where(inside, places + self.starts[indices], 0)
        rows = self.ids[found] if len(self.ids) else np.zeros(found.shape, np.int64)
        rows = np.where(inside, rows, PADDING)
        rows[places[:, 0] == -1] = BEGIN
        y = np.where(places[1:] == lengths, END, rows[1:])
        return np.where(rows[:-1] == PADDING, NULL, rows[:-1]), y


class _PlannedBlock(NamedTuple):
    """The positions from start to stop of a batch."""

    indices: np.ndarray  # of the sequences in the batch
    start: int
    stop: int


class SequenceLanes:
    """An endless sequence of blocks over independent sequences, in a different order in each epoch.

    Args:
        sequences: at least one.
        lanes: B, the number of parallel sequences.
        steps: T, positions in a block; longer sequences continue in the next block with their state.
        unknown: as for `Lanes`.
        seed: seed of the order, and of the choice of UNKNOWN symbols.

    Raises:
        CorpusError: there are no sequences.
        RecipeError: `lanes` or `steps` is below 1.

    Attributes:
        lanes: B; if the last batch of an epoch has fewer sequences, the other lanes are padding.
        epoch: number of completed epochs.
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
        check_block_size(lanes, steps)
        if len(sequences) == 0:
            raise CorpusError("expected at least one sequence to train on, got none")
        self.lanes = min(lanes, len(sequences))
        self.steps, self.epoch = steps, 0
        self._sequences, self._seed = sequences, seed
        self._thresholds = None if unknown is None else (unknown * 2.0**32).astype(np.uint64)
        self._offset = 0
        self._read = self._with_unknown()
        self._blocks = self._plan()

    @property
    def blocks_per_epoch(self) -> int:
        """Number of blocks in this epoch; other epochs have about as many."""
        return len(self._blocks)

    @property
    def positions_per_block(self) -> float:
        """Mean number of positions of a block of this epoch, with padding."""
        return self.lanes * sum(block.stop - block.start for block in self._blocks) / len(self._blocks)

    @property
    def position(self) -> dict[str, int]:
        """The cursor: completed epochs, and blocks read in the current one."""
        return {"epoch": self.epoch, "offset": self._offset}

    def move(self, position: dict[str, int]) -> None:
        """Moves the cursor to a `position` of these lanes.

        Raises:
            CorpusError: the position belongs to other sequences.
        """
        self.epoch, self._offset = position["epoch"], position["offset"]
        self._read, self._blocks = self._with_unknown(), self._plan()
        if self.epoch < 0 or not 0 <= self._offset < len(self._blocks):
            raise CorpusError(
                f"expected a position in {len(self._blocks)} blocks, got {position}",
                hint="resume with the same sequences and the same number of lanes",
            )

    def next(self) -> Block:
        """Returns the block at the cursor, and advances the cursor."""
        indices, start, stop = self._blocks[self._offset]
        x, y = self._read.padded(indices, start, stop)
        missing = ((0, 0), (0, self.lanes - len(indices)))
        x, y = np.pad(x, missing, constant_values=NULL), np.pad(y, missing, constant_values=PADDING)
        self._offset += 1
        if self._offset == len(self._blocks):
            self.epoch, self._offset = self.epoch + 1, 0
            self._read, self._blocks = self._with_unknown(), self._plan()
        return Block(torch.from_numpy(x), torch.from_numpy(y), start == 0)

    def _with_unknown(self) -> Sequences:
        """Returns the sequences with this epoch's choice of symbols replaced by UNKNOWN."""
        if self._thresholds is None:
            return self._sequences
        ids = self._sequences.ids
        drawn = mixed(np.arange(len(ids)), self._seed, 2 * self.epoch)
        return Sequences(np.where(drawn < self._thresholds[ids], UNKNOWN, ids), self._sequences.starts)

    def _plan(self) -> list[_PlannedBlock]:
        """Returns the blocks of this epoch: batches of similar lengths in random order."""
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
            _PlannedBlock(batch, start, min(start + self.steps, int(lengths[batch].max()) + 1))
            for batch in batches
            for start in range(0, int(lengths[batch].max()) + 1, self.steps)
        ]
