"""Online n-gram counts and the longest match, mixed with the network's prediction.

The state of a memory depends only on the symbols that it has read, and on the network's predictions of them.
A memory can be forked, and its last symbols can be taken back.
"""

import copy

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.errors import InputError, VocabularyError
from onward.memory import compiled
from onward.memory.compiled import CompiledKernel
from onward.memory.kernel import Kernel
from onward.memory.layout import MEGABYTES, Layout
from onward.memory.reference import ReferenceKernel

UNDO = 1 << 16
"""Maximum number of symbols that can be taken back. In 16 megabytes, there is room for about 5,000."""


class Memory:
    """Online n-gram counts, the longest match, and a mixer that combines them with the network's prediction.

    An empty memory predicts what the network does.

    Args:
        vocabulary: of the model.
        megabytes: its fixed size.
        undo: maximum number of symbols that can be taken back; the journal may hold fewer.
        counted: symbols (N,) that the memory counts at the start, such as the training text.

    Raises:
        InputError: the size is out of range, or the vocabulary is too large.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        megabytes: float | int = MEGABYTES,
        *,
        undo: int = UNDO,
        counted: np.ndarray | None = None,
    ) -> None:
        layout = Layout(vocabulary, megabytes)
        undo = min(undo, UNDO, layout.most_undoable)
        self._kernel = (CompiledKernel if compiled.available else ReferenceKernel)(layout, undo)
        self._is_shared = False
        self._start: Kernel | None = None  # the kernel after the counted symbols; None: an empty one
        if counted is not None:
            self.count(counted)
            self._start, self._is_shared = self._kernel, True

    @property
    def megabytes(self) -> float:
        """Its size, including the journal."""
        return self._kernel.layout.megabytes

    @property
    def undoable(self) -> int:
        """Number of symbols that can be taken back now."""
        return self._kernel.undoable

    def read(self, ids: np.ndarray, network: np.ndarray) -> np.ndarray:
        """Scores each symbol, then learns it.

        Args:
            ids: the symbols, (N,).
            network: the network's probabilities at each, (N, V) in float32.

        Returns:
            The surprise in nats, (N,) in float64.

        Raises:
            VocabularyError: an id is not in the vocabulary.
        """
        ids, symbols = self._checked(ids), self._kernel.layout.symbols
        if network.shape != (len(ids), symbols):
            raise InputError(f"expected probabilities of shape {(len(ids), symbols)}, got {network.shape}")
        return self._own().read(ids, network)

    def count(self, ids: np.ndarray) -> None:
        """Counts symbols (N,) that the network was trained on; the mixer does not learn from them.

        Raises:
            VocabularyError: an id is not in the vocabulary.
        """
        self._own().count(self._checked(ids))

    def take_back(self, symbols: int) -> None:
        """Takes back the last symbols.

        Raises:
            InputError: the number is negative or above `undoable`.
        """
        if not 0 <= symbols <= self.undoable:
            raise InputError(f"expected 0 to {self.undoable} symbols to take back, got {symbols}")
        if symbols:
            self._own().take_back(symbols)

    def restart(self, ids: np.ndarray) -> None:
        """Returns the memory to its start, then counts symbols (N,) without the network."""
        kernel = self._kernel
        self._kernel = self._start or type(kernel)(kernel.layout, kernel.undo)
        self._is_shared = self._start is not None
        self.count(ids)

    def fork(self, *, restarts_here: bool = False) -> "Memory":
        """Returns an independent memory in the same state. The copy is made when one of them changes.

        Args:
            restarts_here: whether `restart` returns the new memory to this state.
        """
        self._is_shared = True
        twin = copy.copy(self)
        if restarts_here:
            twin._start = self._kernel
        return twin

    def place(self) -> np.ndarray:
        """Returns the place after the last symbol, where a search starts, (PLACE,) in uint32."""
        return self._kernel.place()

    def advance(self, places: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Returns the places (B, PLACE) after one more symbol each, (B,). The memory does not change."""
        ids, after = self._checked(ids), np.array(places, np.uint32, order="C")
        self._kernel.advance(after, ids)
        return after

    def step(
        self,
        table: np.ndarray,
        rows: np.ndarray,
        ids: np.ndarray,
        new_rows: np.ndarray,
        probabilities: np.ndarray,
    ) -> None:
        """Moves places of a search on, and mixes the predictions there. The memory does not change.

        Args:
            table: places, one per row, (N, PLACE); the new places are written to it.
            rows: rows of the places before the symbols, (B,).
            ids: the symbols, (B,) in int64, which must be in the vocabulary.
            new_rows: rows of the new places, (B,).
            probabilities: the network's after the symbols, (B, V) in float32; the mixed ones replace them.
        """
        places = table[rows]
        self._kernel.advance(places, ids)
        table[new_rows] = places
        self._kernel.refine(places, probabilities)

    def refine(self, places: np.ndarray, network: np.ndarray) -> np.ndarray:
        """Returns the probabilities of the next symbol at places.

        Args:
            places: (B, PLACE).
            network: the network's probabilities, (B, V).

        Returns:
            (B, V) in float32. The memory does not change.
        """
        refined = np.array(network, np.float32, order="C")
        self._kernel.refine(np.ascontiguousarray(places), refined)
        return refined

    def _own(self) -> Kernel:
        """Returns the kernel, copied before the first change if another memory shares it."""
        if self._is_shared:
            self._kernel, self._is_shared = self._kernel.copy(), False
        return self._kernel

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        symbols = self._kernel.layout.symbols
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < symbols:
            raise VocabularyError(f"expected ids from 0 to {symbols - 1}, got {ids[:8].tolist()} ...")
        return np.ascontiguousarray(ids, np.int64)
