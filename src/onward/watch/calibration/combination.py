"""Combines the features of a sequence into one score: the sum of their tail scores.

The sum is that of Fisher's method for combining p-values. The features are correlated, so the sum is no
p-value; the calibration makes one of it. All features have the same weight except the event counts. Their
weight is 1 plus the share of normal sequences whose counts equal those of another one: if counts recur, other
counts are strong evidence. Weights that were fitted to corrupted normal sequences, and the largest tail score
in place of the sum, were worse on data that they had not been chosen on (see benchmarks/LOG.md).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onward.watch.calibration.tail import Tail
from onward.watch.scoring.features import FEATURES

_COUNTS = FEATURES.index("counts")

_DECIMALS = 6
"""Decimals of a score."""


@dataclass(frozen=True)
class Combination:
    """Combines the features of a sequence into one score, which grows with each feature.

    Attributes:
        tails: the distribution of each feature in normal sequences, in the order of `FEATURES`.
    """

    tails: tuple[Tail, ...]

    @classmethod
    def of(cls, features: np.ndarray) -> "Combination":
        """Returns the combination for the features of normal sequences, (n, 7)."""
        return cls(tuple(Tail.of(column) for column in features.T))

    def tail_scores(self, features: np.ndarray) -> np.ndarray:
        """Returns the tail scores of features, both (k, 7)."""
        return np.stack([tail.score(c) for tail, c in zip(self.tails, features.T, strict=True)], axis=1)

    def score(self, features: np.ndarray) -> np.ndarray:
        """Returns the scores of sequences, (k,), by their features (k, 7)."""
        return self.combine(self.tail_scores(features))

    def score_left_out(self, features: np.ndarray) -> np.ndarray:
        """Returns leave-one-out scores of the sequences that the combination was made from, (n,).

        The scales of the tails are still those of all sequences.
        """
        columns = zip(self.tails, features.T, strict=True)
        return self.combine(np.stack([tail.score_left_out(column) for tail, column in columns], axis=1))

    def combine(self, tail_scores: np.ndarray) -> np.ndarray:
        """Returns scores (k,) by tail scores (k, 7)."""
        return np.round(tail_scores @ self._weights, _DECIMALS)

    def main_features(self, tail_scores: np.ndarray) -> np.ndarray:
        """Returns the index in `FEATURES` of the feature that adds most to each score, (k,)."""
        return (tail_scores * self._weights).argmax(axis=1)

    @cached_property
    def _weights(self) -> np.ndarray:
        weights = np.ones(len(FEATURES))
        weights[_COUNTS] += float((self.tails[_COUNTS].values == 0).mean())
        return weights
