"""Windows: samples that know nothing of each other, each from a state of nothing.

This is how the lesson trained before it kept its state: T symbols in, the T that follow each of them out,
in an order that is shuffled anew each epoch.

    x = s_i     s_{i+1} ... s_{i+T-1}
    y = s_{i+1} s_{i+2} ... s_{i+T}        i = 0, stride, 2 stride, ...
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from onward.data.hashing import mixed
from onward.data.symbols import Symbols
from onward.errors import CorpusError, RecipeError

_ROUNDS = 4


class Windows:
    """The windows of a corpus, shuffled, in constant memory.

    Args:
        ids: the corpus, (N,), in memory or in a file.
        length: T, symbols in a window.
        stride: symbols from the beginning of one window to that of the next; T gives windows that meet.
        batch: B, windows at once; the last batch of an epoch has what remains.
        seed: of the shuffling.

    Raises:
        CorpusError: not one window fits into the corpus.
        RecipeError: a length, stride or batch below 1.
    """

    def __init__(self, ids: Symbols, *, length: int, stride: int, batch: int, seed: int = 0) -> None:
        if min(length, stride, batch) < 1:
            given = f"length={length}, stride={stride}, batch={batch}"
            raise RecipeError(f"expected windows of at least 1 symbol, 1 apart and 1 at once, got {given}")
        if len(ids) <= length:
            raise CorpusError(
                f"expected at least {length + 1} symbols for a window of {length}, got {len(ids)}",
                hint="take shorter windows or a longer text",
            )
        self.length, self.stride, self.batch, self.seed = length, stride, batch, seed
        self._ids = ids

    def __len__(self) -> int:
        """How many windows there are."""
        return (len(self._ids) - 1 - self.length) // self.stride + 1

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """All windows once, in the order of that epoch: x (T, B) and y (T, B)."""
        for first in range(0, len(self), self.batch):
            places = np.arange(first, min(first + self.batch, len(self)))
            starts = shuffled(places, len(self), self.seed, epoch) * self.stride
            rows = [np.asarray(self._ids[start : start + self.length + 1]) for start in starts.tolist()]
            block = torch.from_numpy(np.stack(rows, axis=1).astype(np.int64))  # (T + 1, B)
            yield block[:-1], block[1:]


def shuffled(places: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """What stands at `places` (M,) of the numbers below `size` in shuffled order, (M,) in int64.

    A permutation that is computed, not stored: a Feistel network over the smallest even number of bits that
    holds `size`, walked on until it lands below `size` (Black and Rogaway 2002).
    """
    half = np.uint64(max(1, (size - 1).bit_length() + 1 >> 1))
    mask = (np.uint64(1) << half) - np.uint64(1)
    result = places.astype(np.uint64)
    outside = np.ones(len(places), bool)
    while outside.any():
        walked = result[outside]
        for step in range(_ROUNDS):
            left, right = walked >> half, walked & mask
            walked = right << half | (left ^ mixed(right, seed, epoch * _ROUNDS + step) & mask)
        result[outside] = walked
        outside = result >= size
    return result.astype(np.int64)
