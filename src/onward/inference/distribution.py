"""What a model expects next."""

from dataclasses import dataclass

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.errors import InputError


@dataclass(frozen=True)
class Distribution:
    """Probabilities of the next symbol.

    Attributes:
        probabilities: (V,) in float32, of sum 1.
        vocabulary: what the ids mean.
    """

    probabilities: np.ndarray
    vocabulary: Vocabulary

    def top(self, count: int) -> list[tuple[str, float]]:
        """The likeliest symbols by their printable names, with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(0, count)]
        return [(self.vocabulary.symbol(i), float(self.probabilities[i])) for i in order.tolist()]

    def __getitem__(self, symbol: str) -> float:
        """The probability of a symbol; one that the vocabulary does not have is the unknown symbol.

        Raises:
            InputError: a text that is not one symbol.
        """
        ids = self.vocabulary.encode(symbol).tolist()
        if len(ids) != 1:
            raise InputError(
                f"expected one symbol, got {symbol!r}, which is {len(ids)}",
                hint="ask the model's `score` for the probability of a longer text",
            )
        return float(self.probabilities[ids[0]])
