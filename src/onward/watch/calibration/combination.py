"""Combines the features of a sequence into one score.

Each feature becomes a tail score (see `tail.py`). Two formulas combine the tail scores. The weight of the
first is the share of normal sequences whose event counts equal those of another sequence. The second has the
remaining weight.

If counts recur, the order of events and their counts are two kinds of evidence. Features of order are
correlated, so their largest tail score stands for all of them, and the tail score of the counts is added, as
in Fisher's method. Such a sum rises little for a sequence that is unusual in one kind only, because normal
sequences are slightly unusual in both. Therefore the largest single tail score is a second candidate with a
lower weight, and the larger candidate is the score.

If no two sequences have the same counts, as with long sequences, many small deviations are better evidence
than one. The score is then the largest tail score plus the mean of all. If an n-gram needs fewer bits than
the model for normal sequences, features of the model have a lower weight: with little data or little
training, the n-gram is the better model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onward.watch.calibration.tail import Tail
from onward.watch.scoring.features import FEATURES, Feature

_DECIMALS = 6
"""Decimals of a score."""

_SINGLE_WEIGHT = 0.8
"""Weight of the largest single tail score. With a lower weight, few sequences in a wrong order are flagged at
a rate of 1 %; a higher one costs recall at 0.1 % (measured on corrupted training sequences of HDFS; see
benchmarks/LOG.md)."""

_TIE_BREAK = 1e-3
"""Weight of the sum of the candidates, which breaks ties."""


def _places(*names: Feature) -> list[int]:
    return [FEATURES.index(name) for name in names]


@dataclass(frozen=True)
class OrderAndCounts:
    """The formula for sequences whose event counts recur.

    Attributes:
        sums: distribution of the largest order score plus the counts score in normal sequences.
        largest: distribution of the largest single tail score in normal sequences.
    """

    sums: Tail
    largest: Tail

    _ORDER = _places("largest", "mean", "total", "burst", "new")
    _COUNTS = FEATURES.index("counts")

    @classmethod
    def of(cls, tail_scores: np.ndarray) -> "OrderAndCounts":
        """Returns the formula for the leave-one-out tail scores of normal sequences, (n, 8)."""
        return cls(Tail.of(cls._sum(tail_scores)), Tail.of(cls._largest(tail_scores)))

    def score(self, tail_scores: np.ndarray) -> np.ndarray:
        """Returns the scores of sequences, (k,), by their tail scores (k, 8)."""
        sums, largest = self._sum(tail_scores), self._largest(tail_scores)
        return self._combine(self.sums.score(sums), self.largest.score(largest))

    def score_left_out(self, tail_scores: np.ndarray) -> np.ndarray:
        """Returns leave-one-out scores of the sequences that the formula was made from, (n,)."""
        sums, largest = self._sum(tail_scores), self._largest(tail_scores)
        return self._combine(self.sums.score_left_out(sums), self.largest.score_left_out(largest))

    @cached_property
    def weights(self) -> np.ndarray:
        """The weight of each feature, (8,)."""
        weights = np.zeros(len(FEATURES))
        weights[[*self._ORDER, self._COUNTS]] = 1.0
        return weights

    @classmethod
    def _sum(cls, tail_scores: np.ndarray) -> np.ndarray:
        return tail_scores[:, cls._ORDER].max(axis=1) + tail_scores[:, cls._COUNTS]

    @classmethod
    def _largest(cls, tail_scores: np.ndarray) -> np.ndarray:
        used = tail_scores[:, [*cls._ORDER, cls._COUNTS]]
        return used.max(axis=1) + _TIE_BREAK * used.sum(axis=1)

    @staticmethod
    def _combine(sums: np.ndarray, largest: np.ndarray) -> np.ndarray:
        single = _SINGLE_WEIGHT * largest
        return np.maximum(sums, single) + _TIE_BREAK * (sums + single)


@dataclass(frozen=True)
class LargestPlusMean:
    """The formula for sequences whose event counts do not recur.

    Attributes:
        trust: weight of the features of the model, from 0 to 1: bits by the n-gram over bits by the model.
    """

    trust: float

    _BY_MODEL = _places("largest", "mean", "burst")
    _BY_LOOKUP = _places("counts", "unseen", "table")

    @classmethod
    def of(cls, features: np.ndarray) -> "LargestPlusMean":
        """Returns the formula for the features of normal sequences, (n, 8)."""
        model, table = (features[:, place].mean() for place in _places("mean", "table"))
        return cls(float(np.clip(table / model, 0.0, 1.0)) if model > 0 else 1.0)

    def score(self, tail_scores: np.ndarray) -> np.ndarray:
        """Returns the scores of sequences, (k,), by their tail scores (k, 8)."""
        weights = self._own_weights
        weighted = tail_scores[:, [*self._BY_MODEL, *self._BY_LOOKUP]] * weights
        return weighted.max(axis=1) + weighted.sum(axis=1) / weights.sum()

    @cached_property
    def weights(self) -> np.ndarray:
        """The weight of each feature, (8,)."""
        weights = np.zeros(len(FEATURES))
        weights[[*self._BY_MODEL, *self._BY_LOOKUP]] = self._own_weights
        return weights

    @cached_property
    def _own_weights(self) -> np.ndarray:
        return np.array([self.trust] * len(self._BY_MODEL) + [1.0] * len(self._BY_LOOKUP))


@dataclass(frozen=True)
class Combination:
    """Combines the features of a sequence into one score, which grows with each tail score.

    Attributes:
        tails: the distribution of each feature in normal sequences, in the order of `FEATURES`.
        order_and_counts: the formula for sequences whose counts recur.
        largest_plus_mean: the formula for the others.
    """

    tails: tuple[Tail, ...]
    order_and_counts: OrderAndCounts
    largest_plus_mean: LargestPlusMean

    @classmethod
    def of(cls, features: np.ndarray) -> "Combination":
        """Returns the combination for the features of normal sequences, (n, 8)."""
        tails = tuple(Tail.of(column) for column in features.T)
        return cls(tails, OrderAndCounts.of(_left_out(tails, features)), LargestPlusMean.of(features))

    @cached_property
    def recurring(self) -> float:
        """Share of the normal sequences whose counts equal those of another sequence."""
        return float((self.tails[FEATURES.index("counts")].values == 0).mean())

    def tail_scores(self, features: np.ndarray) -> np.ndarray:
        """Returns the tail scores of features, both (k, 8)."""
        return np.stack([tail.score(c) for tail, c in zip(self.tails, features.T, strict=True)], axis=1)

    def score(self, features: np.ndarray) -> np.ndarray:
        """Returns the scores of sequences, (k,), by their features (k, 8)."""
        return self.combine(self.tail_scores(features))

    def combine(self, tail_scores: np.ndarray) -> np.ndarray:
        """Returns the scores of sequences, (k,), by their tail scores (k, 8)."""
        return self._round_blend(
            self.order_and_counts.score(tail_scores), self.largest_plus_mean.score(tail_scores)
        )

    def score_left_out(self, features: np.ndarray) -> np.ndarray:
        """Returns leave-one-out scores of the sequences that the combination was made from, (n,).

        `recurring`, `trust` and the scales of the tails are still those of all sequences.
        """
        tail_scores = _left_out(self.tails, features)
        return self._round_blend(
            self.order_and_counts.score_left_out(tail_scores), self.largest_plus_mean.score(tail_scores)
        )

    def lower_bound(self, tail_scores: np.ndarray, known: Sequence[int]) -> np.ndarray:
        """Returns lower bounds of scores, (k,), by the tail scores of the known features, (k, m)."""
        return self.combine(_with_zeros(tail_scores, known))

    def main_features(
        self, tail_scores: np.ndarray, known: Sequence[int] = range(len(FEATURES))
    ) -> np.ndarray:
        """Returns the index in `FEATURES` of the feature that adds most to each score, (k,).

        Args:
            tail_scores: the tail scores of the known features, (k, m).
            known: the indices of these features.
        """
        return (_with_zeros(tail_scores, known) * self._weights).argmax(axis=1)

    @cached_property
    def _weights(self) -> np.ndarray:
        return self._blend(self.order_and_counts.weights, self.largest_plus_mean.weights)

    def _round_blend(self, if_recurring: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        return np.round(self._blend(if_recurring, otherwise), _DECIMALS)

    def _blend(self, if_recurring: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        return self.recurring * if_recurring + (1 - self.recurring) * otherwise


def _left_out(tails: Sequence[Tail], features: np.ndarray) -> np.ndarray:
    """Returns the leave-one-out tail scores of the features that the tails were made from, (n, 8)."""
    return np.stack([tail.score_left_out(c) for tail, c in zip(tails, features.T, strict=True)], axis=1)


def _with_zeros(tail_scores: np.ndarray, known: Sequence[int]) -> np.ndarray:
    """Returns the tail scores of all features, (k, 8); those of unknown features are 0."""
    scores = np.zeros((len(tail_scores), len(FEATURES)))
    scores[:, list(known)] = tail_scores
    return scores
