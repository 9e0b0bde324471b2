"""Conformal calibration: turns scores into p-values that hold for any model.

The p-value of a sequence is the rank of its score among the scores of n held-out normal sequences:

    p = (1 + number of held-out scores >= score) / (n + 1)

If the new sequence is exchangeable with the held-out ones, P(p <= a) <= a for every a, for any way of
computing scores (Vovk, Gammerman and Shafer 2005). The scheme "split" meets this condition. The other schemes
use the sequences more efficiently; measurements show that they keep the rate (docs/concepts.md). Ties count
against an alarm.

Sequences that were drawn at random are scored by the combination of all others. Sequences in time order come
in groups of similar sequences, and beside its own group even an unusual sequence looks normal. Therefore each
half is scored by the combination of the other half, and new sequences by that of the later half. All
combinations are made from equally many sequences: a combination of all sequences would give new sequences
larger tail scores than calibration sequences can have. At small rates twice as many would be flagged.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from onward.stored import StoredModel
from onward.watch.calibration.combination import Combination
from onward.watch.calibration.statistics import allowed_alarms
from onward.watch.calibration.tail import TailHeader
from onward.watch.scoring.features import FEATURES
from onward.watch.scoring.header_types import SortedFloats

_TOLERANCE = 1e-4
"""Scores that differ by less count as equal: streams and batches add float32 numbers in different orders."""

Scheme = Literal["others", "halves", "split"]


@dataclass(frozen=True)
class Calibration:
    """The scores of held-out normal sequences, and the way to compute a score.

    Attributes:
        combination: combines features into a score.
        scores: scores of held-out normal sequences, sorted, (n,).
    """

    combination: Combination
    scores: np.ndarray

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """Returns the p-values of scores, (k,)."""
        at_least = len(self.scores) - np.searchsorted(self.scores, scores - _TOLERANCE, side="left")
        return (1.0 + at_least) / (len(self.scores) + 1.0)

    def threshold(self, rate: float) -> float:
        """Returns the score above which p-values are at most the rate; infinity if there is none."""
        return threshold_of(self.scores, rate) + _TOLERANCE

    @property
    def smallest_rate(self) -> float:
        """The smallest rate at which something can be flagged, rounded up to two significant digits."""
        return self._rate_that_allows(1)

    @property
    def sensible_rate(self) -> float:
        """The smallest rate that flags two calibration sequences: a single one does not set the threshold."""
        return self._rate_that_allows(2)

    def _rate_that_allows(self, alarms: int) -> float:
        """Returns the smallest rate that flags this many calibration sequences, in two significant digits."""
        smallest = alarms / (len(self.scores) + 1)
        unit = 10.0 ** (math.floor(math.log10(smallest)) - 1)
        return min(0.5, round(math.ceil(smallest / unit - 1e-9) * unit, 12))

    def to_json(self) -> dict[str, Any]:
        return {
            "tails": [tail.to_json() for tail in self.combination.tails],
            "scores": self.scores.tolist(),
        }

    @classmethod
    def from_json(cls, data: Any) -> "Calibration":
        """Returns the calibration that `to_json` wrote.

        Raises:
            ValueError: the data is not a calibration, or has numbers that are not finite.
        """
        header = _CalibrationHeader.model_validate(data)
        combination = Combination(tuple(tail.tail() for tail in header.tails))
        return cls(combination, header.scores)


class _CalibrationHeader(StoredModel):
    tails: Annotated[list[TailHeader], Field(min_length=len(FEATURES), max_length=len(FEATURES))]
    scores: SortedFloats


def threshold_of(scores: np.ndarray, rate: float) -> float:
    """Returns the k-th highest of sorted scores (n,), with k from `allowed_alarms`.

    Returns infinity if k is 0, and minus infinity if k is more than n: then everything is flagged.
    """
    allowed = allowed_alarms(rate, len(scores))
    if not 0 < allowed <= len(scores):
        return -math.inf if allowed else math.inf
    return float(scores[-allowed])


def calibrate(features: np.ndarray, scheme: Scheme) -> Calibration:
    """Returns the calibration by the features of held-out normal sequences.

    Args:
        features: the features, (n, 7), of sequences in random order; for "halves", in time order.
        scheme: "others" scores each sequence by the combination of all others. "halves" scores each half by
            the combination of the other half, for sequences that come in groups. "split" makes the
            combination from the first half and scores the second.
    """
    if scheme == "others":
        combination = Combination.of(features)
        return Calibration(combination, np.sort(combination.score_left_out(features)))
    earlier, later = np.array_split(features, 2)
    combination = Combination.of(earlier if scheme == "split" else later)
    scores = combination.score(later if scheme == "split" else earlier)
    if scheme == "halves":
        scores = np.concatenate([scores, Combination.of(earlier).score(later)])
    return Calibration(combination, np.sort(scores))
