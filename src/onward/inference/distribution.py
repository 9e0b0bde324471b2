"""The probabilities of the next symbol."""

from dataclasses import dataclass

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.errors import InputError


@dataclass(frozen=True)
class Distribution:
    """The probabilities of the next symbol.

    Attributes:
        probabilities: (V,) in float32; they sum to 1.
        vocabulary: vocabulary of the model.
    """

    probabilities: np.ndarray
    vocabulary: Vocabulary

    def top(self, count: int) -> list[tuple[str, float]]:
        """Returns the likeliest symbols, the likeliest first, as printable names with probabilities."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(0, count)]
        return [(self.vocabulary.symbol(i), float(self.probabilities[i])) for i in order.tolist()]

    def __getitem__(self, symbol: str) -> float:
        """Returns the probability of a symbol. For a symbol outside the vocabulary, that of UNKNOWN.

        Raises:
            InputError: the text is not exactly one symbol.
        """
        ids = self.vocabulary.encode(symbol).tolist()
        if len(ids) != 1:
            raise InputError(
                f"expected one symbol, got {symbol!r}, which has {len(ids)}",
                hint="use the model's `score` for the probability of a longer text",
            )
        return float(self.probabilities[ids[0]])
