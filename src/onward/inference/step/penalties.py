"""Penalties: changes of the logits that depend on the symbols so far."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """How the logits change before a symbol is drawn.

    Attributes:
        presence: subtracted from the logit of each symbol that the sample has.
        frequency: subtracted from the logit of a symbol once for each time that the sample has it.
        repeat: divides positive logits of the last symbols, and multiplies negative ones; 1 changes nothing
            (arXiv 1909.05858).
        last: number of symbols that `repeat` looks back, including those of the prompt.
        bias: added to the logits, as pairs of an id and a value.
    """

    presence: float | int = 0.0
    frequency: float | int = 0.0
    repeat: float | int = 1.0
    last: int = 64
    bias: tuple[tuple[int, float], ...] = ()

    @property
    def have_effect(self) -> bool:
        """Whether any logit may change."""
        repeats = self.repeat != 1 and self.last > 0
        return bool(self.presence or self.frequency or repeats or self.bias)


class PenalizedSample:
    """The symbols of one sample, for its penalties.

    Args:
        penalties: how the logits change.
        symbols: size of the vocabulary, V.
        prompt: the last symbols of the prompt, (n,).
    """

    def __init__(self, penalties: Penalties, symbols: int, prompt: Sequence[int] = ()) -> None:
        self._penalties = penalties
        self._counts = np.zeros(symbols, np.float32)
        self._recent = deque(prompt, maxlen=max(0, penalties.last))
        self._bias = np.zeros(symbols, np.float32)
        for symbol, value in penalties.bias:
            self._bias[symbol] += value

    def apply(self, logits: np.ndarray) -> None:
        """Changes the logits (V,) of the next symbol in place."""
        penalties = self._penalties
        if penalties.repeat != 1 and self._recent:
            recent = np.unique(np.fromiter(self._recent, np.int64))
            found = logits[recent]
            logits[recent] = np.where(found > 0, found / penalties.repeat, found * penalties.repeat)
        logits -= penalties.frequency * self._counts + penalties.presence * (self._counts > 0)
        logits += self._bias

    def append(self, symbol: int) -> None:
        """Adds a symbol that was drawn."""
        self._counts[symbol] += 1
        self._recent.append(symbol)
