"""The ids of a corpus, in memory or in a file larger than memory."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import numpy as np

from onward.errors import CorpusError


class SymbolFile:
    """The ids of a corpus in a file, (N,), read on demand.

    A slice is another `SymbolFile`, and reads nothing; `np.asarray` reads its ids. The file is not mapped
    into memory, because the system would count the mapped pages as memory of the process.

    Args:
        path: the file.
        dtype: the type of the ids.
        symbols: V; reading an id that is not below it raises CorpusError.

    Raises:
        CorpusError: the file cannot be read.
    """

    def __init__(self, path: Path, dtype: np.dtype, symbols: int) -> None:
        self.path, self.dtype, self._symbols = path, dtype, symbols
        self._start = 0
        try:
            self._file = path.open("rb", buffering=0)
            self._stop = path.stat().st_size // dtype.itemsize
        except OSError as error:
            raise CorpusError(
                f"cannot read {path}: {error.strerror}",
                hint="another run has encoded the corpus again: try again",
            ) from error

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, part: slice) -> "SymbolFile":
        """Returns a range of the ids as a view."""
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"expected a slice with a step of 1, got {step}")
        view = object.__new__(SymbolFile)
        view.path, view.dtype, view._symbols, view._file = self.path, self.dtype, self._symbols, self._file
        view._start, view._stop = self._start + start, self._start + max(start, stop)
        return view

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Reads the ids."""
        ids = np.empty(len(self), self.dtype)
        target, at = ids.data.cast("B"), self._start * self.dtype.itemsize
        while target:
            count = os.preadv(self._file.fileno(), [target], at)
            if not count:
                raise CorpusError(
                    f"{self.path} is shorter than expected", hint="delete the file and train again"
                )
            target, at = target[count:], at + count
        if len(ids) and ids.max() >= self._symbols:
            raise CorpusError(
                f"expected ids below {self._symbols} in {self.path}, found {ids.max()}",
                hint="delete the file and train again",
            )
        return ids if dtype is None else ids.astype(dtype, copy=False)


class JoinedSymbols:
    """Ranges of a corpus as one sequence of ids, (N,). A slice reads its ids.

    Args:
        parts: the ranges, in order; at least one.
    """

    def __init__(self, parts: "Sequence[np.ndarray | SymbolFile]") -> None:
        self._parts, self.dtype = parts, parts[0].dtype
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, part: slice) -> np.ndarray:
        """Returns a range of the ids."""
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"expected a slice with a step of 1, got {step}")
        found, number = [np.asarray(self._parts[0][:0])], bisect_right(self._ends, start)
        while start < stop:
            end = self._ends[number]
            offset = end - len(self._parts[number])
            found.append(np.asarray(self._parts[number][start - offset : min(stop, end) - offset]))
            start, number = end, number + 1
        return np.concatenate(found)


Symbols: TypeAlias = np.ndarray | SymbolFile | JoinedSymbols
"""The ids of a corpus, (N,). All types support `len`, slices, and `np.asarray` of a slice."""
