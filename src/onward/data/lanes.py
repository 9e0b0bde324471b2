"""Lanes: the order in which stateful training reads a corpus.

Row i of the next block must continue row i of this one, or the state that is carried over belongs to
another place of the text. So a corpus of N symbols in B lanes is B contiguous streams of L = N // B
symbols; lane i predicts the symbols from i * L to (i + 1) * L, each from the symbol before it:

    x = BEGIN s_0 s_1 ... s_{N-2}
    y = s_0   s_1 s_2 ... s_{N-1}

The N - B * L < B symbols at the end are not trained on.

Lanes may be shifted: from the second epoch on they then begin elsewhere in the text, which is read as a ring,
from BEGIN to its last symbol and on to BEGIN. So the gradients of truncated back-propagation reach over what
was the border of two blocks before, and other symbols are left out. BEGIN itself is not predicted.

They may be noisy: some of the symbols that are read, not of those that are predicted, are then those of other
places (unigram noising: Xie et al. 2017, "Data noising as smoothing in neural network language models"). So
a text that is read many times over is seldom read twice alike, and its contexts are harder to learn by heart.
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
"""In place of a symbol to predict: none. It is what torch's cross entropy leaves out."""

_NOISE = 0x6E6F697365
"""What makes the random numbers of the noise others than those of what is read as UNKNOWN."""


class Block(NamedTuple):
    """What one training step reads.

    Attributes:
        x: symbols, (T, B).
        y: the symbol after each, (T, B), or PADDING.
        start: whether the state before this block is the initial one.
    """

    x: Ids
    y: Ids
    start: bool


@runtime_checkable
class Blocks(Protocol):
    """What training reads: an endless sequence of blocks with a cursor that can be saved."""

    lanes: int
    epoch: int

    @property
    def blocks_per_epoch(self) -> int:
        """Blocks in an epoch."""
        ...

    @property
    def position(self) -> dict[str, int]:
        """The cursor: `epoch`, and an `offset` that is 0 where an epoch begins."""
        ...

    def move(self, position: dict[str, int]) -> None:
        """Goes to a `position`."""
        ...

    def next(self) -> Block:
        """The block at the cursor, which then stands behind it."""
        ...


class Lanes:
    """An endless sequence of blocks over a corpus, with a cursor that can be saved.

    Args:
        ids: the corpus, (N,), in memory or in a file; N is at least 1.
        lanes: B; fewer are used where the corpus has fewer symbols (see `lanes`).
        steps: T, positions in a block; the last block of an epoch has what remains.
        unknown: for each symbol the share of its occurrences that are read as UNKNOWN (V,), or None. Which
            ones is decided anew each epoch by a hash of seed, epoch and position, so that the cursor is
            all that a resumed run needs.
        seed: of that hash, of the shifts, and of the noise.
        shifted: whether the lanes of each epoch but the first begin at places of their own.
        noise: share of the symbols of x that are read as the symbol at a place drawn at random, in [0, 1];
            drawn anew each epoch, as `unknown` is.

    Raises:
        CorpusError: the corpus is empty.
        RecipeError: no lanes, no steps, or a share that is none.

    Attributes:
        lanes: B, as used.
        symbols_per_epoch: targets in an epoch, B * L.
        epoch: how many epochs have ended.
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
        if lanes < 1 or steps < 1:
            raise RecipeError(f"expected at least 1 lane of 1 step, got lanes={lanes}, steps={steps}")
        if not 0.0 <= noise <= 1.0:
            raise RecipeError(f"expected a share of noise from 0 to 1, got {noise}")
        if len(ids) == 0:
            raise CorpusError(
                "expected at least one symbol to train on, got an empty corpus",
                hint="name a source with text",
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
        """Blocks in an epoch."""
        return -(-self._length // self.steps)

    @property
    def position(self) -> dict[str, int]:
        """The cursor: epochs ended, and symbols of each lane read in this one."""
        return {"epoch": self.epoch, "offset": self._offset}

    def move(self, position: dict[str, int]) -> None:
        """Goes to a `position` of these lanes.

        Raises:
            CorpusError: a cursor of another corpus.
        """
        epoch, offset = position["epoch"], position["offset"]
        if epoch < 0 or not 0 <= offset < self._length:
            raise CorpusError(
                f"expected a place in lanes of {self._length} symbols, got {position}",
                hint="go to a position of lanes over the same corpus",
            )
        self.epoch, self._offset = epoch, offset

    def next(self) -> Block:
        """The block at the cursor, which then stands behind it."""
        start, size = self._offset, min(self.steps, self._length - self._offset)
        firsts = np.arange(self.lanes, dtype=np.int64) * self._length + start + self._shift()
        rows = np.stack([self._read(first, size + 1) for first in firsts.tolist()], axis=1)
        x, y = torch.from_numpy(rows[:-1].copy()), torch.from_numpy(rows[1:])  # (T, B)
        if self._noise:
            self._disturb(x.numpy(), firsts + np.arange(size)[:, None])
        self._offset += size
        if self._offset == self._length:
            self.epoch, self._offset = self.epoch + 1, 0
        if self._shifted:
            y[torch.from_numpy((firsts + np.arange(1, size + 1)[:, None]) % self._ring == 0)] = PADDING
        return Block(x, y, start == 0)

    def _disturb(self, x: np.ndarray, places: np.ndarray) -> None:
        """Reads some of the symbols x (T, B) at those places of the ring as others, in place."""
        places = places % self._ring
        drawn = mixed(places, self._seed ^ _NOISE, self.epoch)
        is_noisy = (drawn < self._noise) & (places > 0)  # BEGIN stays
        others = drawn[is_noisy] * np.uint64(len(self._ids)) // np.uint64(self._noise)
        x[is_noisy] = [int(np.asarray(self._ids[place : place + 1])[0]) for place in others.tolist()]

    @property
    def _ring(self) -> int:
        """Places of the text as a ring: BEGIN at 0, then its symbols."""
        return len(self._ids) + 1

    def _shift(self) -> int:
        """The place where the first lane of this epoch begins."""
        if not (self._shifted and self.epoch):
            return 0
        return int(mixed(np.array([self.epoch]), self._seed, -1)[0]) % self._ring

    def _read(self, start: int, count: int) -> np.ndarray:
        """So many symbols of the ring from a place on, as trained on, int64."""
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
    """The share of each symbol's occurrences that training reads as UNKNOWN: half an occurrence an epoch.

    Absolute discounting (Ney, Essen and Kneser 1994) with a discount of 0.5: each distinct symbol gives up
    half a count, so that the unknown symbol gets a probability in proportion to how many kinds there are,
    and what is rare loses most. A symbol that occurs once is unknown in half of the epochs.

    Args:
        counts: occurrences of each id, (V,); the first four ids are special and never replaced.

    Returns:
        (V,) in float64.
    """
    shares = np.minimum(0.5, 0.5 / np.maximum(counts, 1))
    shares[: len(SPECIAL)] = 0.0
    return shares


def as_stream(ids: Symbols) -> tuple[Tensor, Tensor]:
    """A whole corpus as one lane: x (N, 1) from BEGIN on, and y (N, 1)."""
    y = torch.from_numpy(np.asarray(ids).astype(np.int64))[:, None]
    return torch.cat([torch.full((1, 1), BEGIN), y[:-1]]), y
