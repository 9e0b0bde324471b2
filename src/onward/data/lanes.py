"""Lanes: the order in which stateful training reads a corpus.

Lane i of each block continues lane i of the previous block, because the state of a lane belongs to a position
in the text. So a corpus of N symbols is cut into B contiguous streams of L = N // B symbols. Lane i predicts
the symbols from i * L to (i + 1) * L, each from the symbol before it:

    x = BEGIN s_0 s_1 ... s_{N-2}
    y = s_0   s_1 s_2 ... s_{N-1}

The last N - B * L < B symbols are not trained on.

Shifted lanes: from the second epoch on, the lanes start at different positions in each epoch. The text is
then read as a ring: after its last symbol comes BEGIN again, which is never predicted. So truncated
back-propagation crosses the block borders of earlier epochs, and different symbols are left out.

Noise: some symbols of x, but never of y, are replaced by the symbol at a random position (unigram noising:
Xie et al. 2017, "Data noising as smoothing in neural network language models"). A text that is read for many
epochs then looks different each time, so the model overfits less.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from onward.data.hashing import mixed
from onward.data.symbols import Symbols
from onward.data.vocabulary import BEGIN, SPECIAL, UNKNOWN
from onward.errors import CorpusError, RecipeError
from onward.shapes import Ids

PADDING = -100
"""The target at positions where there is nothing to predict. torch's cross entropy ignores it."""

_NOISE = 0x6E6F697365
"""Xored with the seed, so that noise and UNKNOWN use different random numbers."""


class Block(NamedTuple):
    """The input of one training step.

    Attributes:
        x: symbols, (T, B).
        y: the symbol that follows each symbol of x, or PADDING, (T, B).
        start: whether the block starts from the initial state.
    """

    x: Ids
    y: Ids
    start: bool


def check_block_size(lanes: int, steps: int) -> None:
    """Checks B and T.

    Raises:
        RecipeError: one of them is below 1.
    """
    if lanes < 1 or steps < 1:
        raise RecipeError(f"expected at least 1 lane and 1 step, got lanes={lanes}, steps={steps}")


@runtime_checkable
class Blocks(Protocol):
    """An endless sequence of blocks for training, with a cursor that can be saved."""

    lanes: int
    epoch: int

    @property
    def blocks_per_epoch(self) -> int:
        """Number of blocks in an epoch."""
        ...

    @property
    def position(self) -> dict[str, int]:
        """The cursor: `epoch`, and an `offset` that is 0 at the start of an epoch."""
        ...

    def move(self, position: dict[str, int]) -> None:
        """Moves the cursor to a `position`."""
        ...

    def next(self) -> Block:
        """Returns the block at the cursor, and advances the cursor."""
        ...


class Lanes:
    """An endless sequence of blocks over a corpus, with a cursor that can be saved.

    Args:
        ids: the corpus, (N,), in memory or in a file; N is at least 1.
        lanes: B; reduced to N if the corpus has fewer symbols.
        steps: T, positions in a block; the last block of an epoch may be shorter.
        unknown: for each symbol, the share of its occurrences to replace by UNKNOWN (V,), or None. A hash of
            seed, epoch and position selects the occurrences, so a resumed run needs only the cursor.
        seed: seed of that hash, of the shifts and of the noise.
        shifted: whether the lanes start at other positions from the second epoch on.
        noise: share of the symbols of x to replace with the symbol at a random position, in [0, 1]. Each
            epoch replaces other symbols.

    Raises:
        CorpusError: the corpus is empty.
        RecipeError: `lanes` or `steps` is below 1, or `noise` is not in [0, 1].

    Attributes:
        lanes: B, as used.
        symbols_per_epoch: number of targets in an epoch, B * L.
        epoch: number of completed epochs.
    """

    def __init__(
        self,
        ids: Symbols,
        *,
        lanes: int,
        steps: int,
        unknown: np.ndarray | None = None,
        seed: int = 0,
        shifted: bool = False,
        noise: float = 0.0,
    ) -> None:
        check_block_size(lanes, steps)
        if not 0.0 <= noise <= 1.0:
            raise RecipeError(f"expected noise from 0 to 1, got {noise}")
        if len(ids) == 0:
            raise CorpusError(
                "expected at least one symbol to train on, got an empty corpus",
                hint="name a source that contains text",
            )
        self.lanes = min(lanes, len(ids))
        self.steps = steps
        self.epoch = 0
        self._ids, self._seed, self._shifted = ids, seed, shifted
        self._length = len(ids) // self.lanes
        self._offset = 0
        self._thresholds = None if unknown is None else (unknown * 2.0**32).astype(np.uint64)
        self._noise = int(noise * 2**32)
        self.symbols_per_epoch = self.lanes * self._length

    @property
    def blocks_per_epoch(self) -> int:
        """Number of blocks in an epoch."""
        return -(-self._length // self.steps)

    @property
    def position(self) -> dict[str, int]:
        """The cursor: completed epochs, and symbols of each lane read in the current one."""
        return {"epoch": self.epoch, "offset": self._offset}

    def move(self, position: dict[str, int]) -> None:
        """Moves the cursor to a `position` of these lanes.

        Raises:
            CorpusError: the position belongs to another corpus.
        """
        epoch, offset = position["epoch"], position["offset"]
        if epoch < 0 or not 0 <= offset < self._length:
            raise CorpusError(
                f"expected a position in lanes of {self._length} symbols, got {position}",
                hint="resume with the same corpus and the same number of lanes",
            )
        self.epoch, self._offset = epoch, offset

    def next(self) -> Block:
        """Returns the block at the cursor, and advances the cursor."""
        start, size = self._offset, min(self.steps, self._length - self._offset)
        firsts = np.arange(self.lanes, dtype=np.int64) * self._length + start + self._shift()
        rows = np.stack([self._read(first, size + 1) for first in firsts.tolist()], axis=1)
        x, y = torch.from_numpy(rows[:-1].copy()), torch.from_numpy(rows[1:])  # (T, B)
        if self._noise:
            self._add_noise(x.numpy(), firsts + np.arange(size)[:, None])
        self._offset += size
        if self._offset == self._length:
            self.epoch, self._offset = self.epoch + 1, 0
        if self._shifted:
            y[torch.from_numpy((firsts + np.arange(1, size + 1)[:, None]) % self._ring == 0)] = PADDING
        return Block(x, y, start == 0)

    def _add_noise(self, x: np.ndarray, places: np.ndarray) -> None:
        """Replaces some of the symbols x (T, B), whose positions in the ring are `places`."""
        places = places % self._ring
        drawn = mixed(places, self._seed ^ _NOISE, self.epoch)
        is_noisy = (drawn < self._noise) & (places > 0)  # BEGIN is never replaced
        others = drawn[is_noisy] * np.uint64(len(self._ids)) // np.uint64(self._noise)
        x[is_noisy] = [int(np.asarray(self._ids[place : place + 1])[0]) for place in others.tolist()]

    @property
    def _ring(self) -> int:
        """Number of positions in the ring: BEGIN at 0, then the symbols of the text."""
        return len(self._ids) + 1

    def _shift(self) -> int:
        """Returns the position at which the first lane of this epoch starts."""
        if not (self._shifted and self.epoch):
            return 0
        return int(mixed(np.array([self.epoch]), self._seed, -1)[0]) % self._ring

    def _read(self, start: int, count: int) -> np.ndarray:
        """Returns `count` symbols of the ring from a position on, with UNKNOWN for some, as int64."""
        places = np.arange(start, start + count) % self._ring
        ids, done = np.full(count, BEGIN, np.int64), 0
        while done < count:
            first = int(places[done])
            size = min(count - done, self._ring - first)
            known = np.asarray(self._ids[max(0, first - 1) : first - 1 + size])
            ids[done + size - len(known) : done + size] = known
            done += size
        if self._thresholds is not None:
            hidden = mixed(places - 1, self._seed, self.epoch) < self._thresholds[ids]
            ids[hidden] = UNKNOWN
        return ids


def unknown_shares(counts: np.ndarray) -> np.ndarray:
    """Returns, for each symbol, the share of its occurrences that training replaces by UNKNOWN, (V,) float64.

    Absolute discounting (Ney, Essen and Kneser 1994) with a discount of 0.5: each distinct symbol loses half
    an occurrence per epoch. So the probability of UNKNOWN grows with the number of distinct symbols, and rare
    symbols lose the largest share. A symbol that occurs once is UNKNOWN in half of the epochs.

    Args:
        counts: occurrences of each id, (V,); the first four ids are special and never replaced.
    """
    shares = np.minimum(0.5, 0.5 / np.maximum(counts, 1))
    shares[: len(SPECIAL)] = 0.0
    return shares


def as_stream(ids: Symbols) -> tuple[Tensor, Tensor]:
    """Returns a whole corpus as one lane: x (N, 1), which starts with BEGIN, and y (N, 1)."""
    y = torch.from_numpy(np.asarray(ids).astype(np.int64))[:, None]
    return torch.cat([torch.full((1, 1), BEGIN), y[:-1]]), y
