"""Tail scores: how rare a value of a feature is among normal sequences.

Within the range of the normal values, a tail score is -log10 of the share of normal sequences with at least
this value. Beyond the largest normal value, the share continues as a Pareto (Lomax) tail, which is heavier
than an exponential one: the order of values is kept, and no single value, however large, outvotes everything
else. The scale of the tail is the mean excess over the 90 % quantile.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from onward.stored import LARGEST, StoredModel
from onward.watch.scoring.header_types import SortedFloats

_QUANTILE = 0.9
"""The quantile over which the mean excess is computed."""

_DECIMALS = 6
"""Decimals of the values that are kept."""

_TOLERANCE = 1e-4
"""Values that differ by less count as equal. They are computed in float32, and streaming adds in another
order than batches do. Rounding is no remedy: it separates close values that it rounds in different
directions."""


@dataclass(frozen=True)
class Tail:
    """The distribution of one feature in normal sequences.

    Attributes:
        values: the values of n normal sequences, sorted, (n,).
        scale: the distance beyond the largest value at which the share is half of that at the largest value.
    """

    values: np.ndarray
    scale: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Tail":
        """Returns the distribution of these values (n,)."""
        ordered = np.sort(np.round(values, _DECIMALS))
        top = ordered[int(_QUANTILE * len(ordered)) :]
        excess = float(np.mean(top - top[0]))
        return cls(ordered, excess if excess > _TOLERANCE else 1.0)

    def score(self, values: np.ndarray) -> np.ndarray:
        """Returns the tail scores of values, both (m,)."""
        return self._scores(self._count_at_least(values), values - self.values[-1])

    def score_left_out(self, values: np.ndarray) -> np.ndarray:
        """Returns leave-one-out tail scores of the values that the distribution was made from, (n,).

        The number of values is not reduced by one, so that calibration scores are not biased low.
        """
        at_least = self._count_at_least(values) - 1
        largest = np.where(at_least == 0, self.values[max(0, len(self.values) - 2)], self.values[-1])
        return self._scores(at_least, values - largest)

    def _count_at_least(self, values: np.ndarray) -> np.ndarray:
        return len(self.values) - np.searchsorted(self.values, values - _TOLERANCE, side="left")

    def _scores(self, at_least: np.ndarray, beyond: np.ndarray) -> np.ndarray:
        beyond = np.maximum(0.0, beyond - _TOLERANCE) / self.scale
        return np.log10((len(self.values) + 1.0) / (at_least + 1.0)) + np.log10(1.0 + beyond)

    def to_json(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "scale": self.scale}


class TailHeader(StoredModel):
    """What `Tail.to_json` writes."""

    values: SortedFloats
    scale: Annotated[float, Field(gt=_TOLERANCE, le=LARGEST)]

    def tail(self) -> Tail:
        return Tail(self.values, self.scale)
