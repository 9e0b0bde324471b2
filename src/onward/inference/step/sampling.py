"""Sampling: draws the next symbol from the predictions of a model."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onward.data.vocabulary import END
from onward.errors import InputError, RunError
from onward.layers.kernels import compiled
from onward.layers.kernels.compiled import Drawing

SMALLEST_TEMPERATURE = 1e-4
"""Lower temperatures count as 0. At this temperature, a symbol whose logit is 0.01 larger is e^100 times as
likely."""

LARGEST_TEMPERATURE = 1e38
"""Higher temperatures are limited to this one, because larger numbers are infinite in float32."""


def random_stream(seed: int, number: int) -> np.random.Generator:
    """Returns the random stream of sample `number` of a seed, which does not depend on other samples."""
    return np.random.default_rng([seed, number])


def never_drawn(*, ends: bool) -> int:
    """Returns n: ids below n are never drawn. They are the special ids, without END if `ends`."""
    return END if ends else END + 1


def not_finite() -> RunError:
    """Returns the error for logits that are infinite or NaN."""
    return RunError(
        "the model's logits are not finite numbers", hint="its weights may have diverged in training"
    )


_ALL = int(np.iinfo(np.int64).max)  # largest top_k of the C code; no vocabulary is larger


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How symbols are drawn. The restrictions apply in the order of the attributes.

    Attributes:
        temperature: divides the logits; 0 always takes the likeliest symbol (the first if several are equal).
        top_k: draw only from the k likeliest symbols, and from symbols as likely as the last of these.
        top_p: draw only from the likeliest symbols whose probabilities sum to this share, and from symbols
            as likely as the last of these (arXiv 1904.09751).
        min_p: draw only symbols with at least this share of the highest probability (arXiv 2407.01082).

    Raises:
        InputError: a value is out of range.
    """

    temperature: float | int = 1.0
    top_k: int | None = None
    top_p: float | int | None = None
    min_p: float | int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"expected a temperature of 0 or more, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"expected a top_k of 1 or more, got {self.top_k}")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise InputError(f"expected a {name} from 0 to 1, got {share}")

    def draw(self, logits: np.ndarray, chances: np.ndarray) -> np.ndarray:
        """Draws one symbol for each lane, (B,), by inversion of the cumulative distribution.

        Args:
            logits: (B, V) in float32; symbols with a logit of minus infinity are never drawn.
            chances: uniform random numbers in [0, 1), (B,).

        Raises:
            RunError: the logits are not finite numbers.
        """
        if compiled.available and logits.dtype == np.float32:
            drawn = compiled.draw(
                np.ascontiguousarray(logits), np.ascontiguousarray(chances, np.float64), self.drawing
            )
        else:
            drawn = self._drawn(logits, chances)
        if drawn is None:
            raise not_finite()
        return drawn

    @property
    def _divisor(self) -> float:
        return min(float(self.temperature), LARGEST_TEMPERATURE)

    @cached_property
    def drawing(self) -> Drawing:
        """The options as a struct for the C code."""
        return Drawing(
            temperature=0.0 if self.temperature < SMALLEST_TEMPERATURE else self._divisor,
            top_k=_ALL if self.top_k is None else min(self.top_k, _ALL),
            top_p=1.0 if self.top_p is None else self.top_p,
            min_p=self.min_p or 0.0,
        )

    def _drawn(self, logits: np.ndarray, chances: np.ndarray) -> np.ndarray | None:
        """Does the same as layers/kernels/draw.c in NumPy. Returns None if the logits are not finite."""
        top = logits.max(axis=1, keepdims=True)
        if not np.isfinite(top).all():
            return None
        if self.temperature < SMALLEST_TEMPERATURE:
            return logits.argmax(axis=1)
        weights = self._restricted(np.exp((logits - top) / np.float32(self._divisor)))
        cumulative = weights.cumsum(axis=1, dtype=np.float64)
        total = cumulative[:, -1]
        places = np.minimum(chances * total, np.nextafter(total, 0.0))
        return (cumulative <= places[:, None]).sum(axis=1)

    def _restricted(self, weights: np.ndarray) -> np.ndarray:
        """Returns the weights (B, V), which are at most 1, with 0 for symbols that must not be drawn."""
        symbols = weights.shape[1]
        if self.top_k is not None and self.top_k < symbols:
            least = np.partition(weights, symbols - self.top_k, axis=1)[:, symbols - self.top_k, None]
            weights = np.where(weights >= least, weights, 0)
        if self.top_p is not None and self.top_p < 1:
            falling = np.sort(weights, axis=1)[:, ::-1]
            cumulative = falling.cumsum(axis=1, dtype=np.float64)
            # the index of the last symbol that is needed
            needed = (cumulative < self.top_p * cumulative[:, -1:]).sum(axis=1)
            weights = np.where(weights >= np.take_along_axis(falling, needed[:, None], 1), weights, 0)
        if self.min_p is not None:
            weights = np.where(weights >= self.min_p * weights.max(axis=1, keepdims=True), weights, 0)
        return weights
