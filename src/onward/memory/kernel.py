"""The operations of a memory: in C if it was compiled, else in Python."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np

from onward.memory.layout import Layout


class Kernel(ABC):
    """The words of a memory, its journal, and the operations on them.

    Args:
        layout: the sizes.
        undo: maximum number of symbols that can be taken back; the journal may hold fewer.

    Attributes:
        layout: as given.
        words: all state except the journal.
    """

    def __init__(self, layout: Layout, undo: int) -> None:
        self.layout, self.undo = layout, undo
        self.words = layout.empty()

    @property
    @abstractmethod
    def undoable(self) -> int:
        """Number of symbols that can be taken back now."""

    @abstractmethod
    def read(self, ids: np.ndarray, network: np.ndarray) -> np.ndarray:
        """Scores each symbol, then learns it.

        Args:
            ids: symbols (N,) in int64.
            network: the network's probabilities, (N, V) in float32.

        Returns:
            The surprise in nats, (N,) in float64.
        """

    @abstractmethod
    def count(self, ids: np.ndarray) -> None:
        """Counts symbols (N,) in int64 without a network. The mixer does not learn."""

    @abstractmethod
    def take_back(self, symbols: int) -> None:
        """Takes back the last symbols, at most `undoable`."""

    @abstractmethod
    def place(self) -> np.ndarray:
        """Returns the place after the last symbol, (PLACE,) in uint32."""

    @abstractmethod
    def advance(self, places: np.ndarray, ids: np.ndarray) -> None:
        """Moves places (B, PLACE) on by one symbol each, (B,) in int64. The memory does not change."""

    @abstractmethod
    def refine(self, places: np.ndarray, probabilities: np.ndarray) -> None:
        """Replaces the network's probabilities (B, V) at places (B, PLACE) by the mixed ones."""

    @abstractmethod
    def copy(self) -> Self:
        """Returns an independent copy."""
