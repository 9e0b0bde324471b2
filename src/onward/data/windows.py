"""Windows: independent training examples, each read from the initial state.

The lesson trained its first networks this way, before it carried states from block to block: T symbols go in,
the symbol after each comes out, and the windows are shuffled in each epoch.

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

_ROUNDS = 4  # of the Feistel network


class Windows:
    """The windows of a corpus, shuffled, in constant memory.

    Args:
        ids: the corpus, (N,), in memory or in a file.
        length: T, symbols in a window.
        stride: symbols from the start of one window to the next; windows do not overlap if it is T or more.
        batch: B, windows in a batch; the last batch of an epoch may be smaller.
        seed: seed of the shuffling.

    Raises:
        CorpusError: the corpus is shorter than one window.
        RecipeError: `length`, `stride` or `batch` is below 1.
    """

    def __init__(self, ids: Symbols, *, length: int, stride: int, batch: int, seed: int = 0) -> None:
        if min(length, stride, batch) < 1:
            given = f"length={length}, stride={stride}, batch={batch}"
            raise RecipeError(f"expected a length, stride and batch of at least 1, got {given}")
        if len(ids) <= length:
            raise CorpusError(
                f"expected at least {length + 1} symbols for a window of {length}, got {len(ids)}",
                hint="use shorter windows or a longer text",
            )
        self.length, self.stride, self.batch, self.seed = length, stride, batch, seed
        self._ids = ids

    def __len__(self) -> int:
        return (len(self._ids) - 1 - self.length) // self.stride + 1

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields all windows once, in the order of the given epoch: x (T, B) and y (T, B)."""
        for first in range(0, len(self), self.batch):
            places = np.arange(first, min(first + self.batch, len(self)))
            starts = shuffled(places, len(self), self.seed, epoch) * self.stride
            rows = [np.asarray(self._ids[start : start + self.length + 1]) for start in starts.tolist()]
            block = torch.from_numpy(np.stack(rows, axis=1).astype(np.int64))  # (T + 1, B)
            yield block[:-1], block[1:]


def shuffled(places: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Returns the elements at `places` (M,) of a random permutation of 0 ... size - 1, (M,) in int64.

    The permutation is not stored but computed, by a Feistel network over the smallest even number of bits
    that holds `size`. It is applied again until the result is below `size` (cycle walking: Black and Rogaway
    2002).
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
