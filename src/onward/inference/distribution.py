"""The distribution of the next symbol, and ways to draw from it."""

from dataclasses import dataclass

import numpy as np

from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN, Vocabulary
from onward.errors import InputError


@dataclass(frozen=True)
class Distribution:
    """Probabilities of the next symbol.

    Attributes:
        probabilities: (V,) in float64, in sum 1.
        vocabulary: what the ids mean.
    """

    probabilities: np.ndarray
    vocabulary: Vocabulary

    def top(self, count: int) -> list[tuple[str, float]]:
        """The likeliest symbols by name with their probabilities, best first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.vocabulary.symbol(int(i)), float(self.probabilities[i])) for i in order]

    def __getitem__(self, symbol: str) -> float:
        """The probability of a symbol; one that the vocabulary does not have is the unknown symbol."""
        ids = self.vocabulary.encode(symbol)
        if len(ids) != 1:
            raise InputError(f"expected one symbol, got {symbol!r}, which is {len(ids)}")
        return float(self.probabilities[int(ids[0])])


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a symbol is drawn. The filters act one after another, in this order, on what is left.

    Attributes:
        temperature: logits are divided by it; 0 takes the likeliest symbol.
        top_k: only the k likeliest; 0 for all.
        top_p: only the likeliest that together have at least this probability (arXiv 1904.09751).
        min_p: only those at least this share as likely as the likeliest (arXiv 2407.01082).
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values that leave nothing to draw from."""
        for name, smallest, largest in (
            ("temperature", 0.0, 100.0),
            ("top_k", 0, 2**31),
            ("top_p", 0.0, 1.0),
            ("min_p", 0.0, 1.0),
        ):
            if not smallest <= getattr(self, name) <= largest:
                raise InputError(f"{name} must be from {smallest} to {largest}, got {getattr(self, name)!r}")

    def draw(self, logits: np.ndarray, chance: float) -> int:
        """The symbol at `chance` (from 0 to 1) of the distribution that logits (V,) become."""
        if self.temperature == 0:
            return int(np.argmax(logits))
        scaled = logits.astype(np.float64) / self.temperature
        if 0 < self.top_k < len(scaled):
            scaled[scaled < np.partition(scaled, -self.top_k)[-self.top_k]] = -np.inf
        weights = np.exp(scaled - scaled.max())
        if self.top_p < 1:
            order = np.argsort(-weights, kind="stable")
            before = np.cumsum(weights[order]) - weights[order]
            weights[order[before >= self.top_p * weights.sum()]] = 0.0
            weights[order[0]] = 1.0  # a top_p of 0 leaves the likeliest
        if self.min_p > 0:
            weights[weights < self.min_p] = 0.0  # the likeliest weighs 1
        sums = np.cumsum(weights)
        return min(int(np.searchsorted(sums, chance * sums[-1], side="right")), len(sums) - 1)


def never_written(vocabulary: Vocabulary, *, end: bool) -> np.ndarray:
    """The ids that writing leaves out: begin, unknown, NUL unless bytes are written, and END if so asked."""
    ids = [UNKNOWN, BEGIN] + ([] if vocabulary.kind == "bytes" else [NULL]) + ([] if end else [END])
    return np.array(sorted(ids))
