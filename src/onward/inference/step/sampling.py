"""How the next symbol is drawn from what a model expects."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onward.data.vocabulary import END
from onward.errors import InputError, RunError
from onward.layers.kernels import compiled
from onward.layers.kernels.compiled import Drawing

SMALLEST_TEMPERATURE = 1e-4
"""Below it the likeliest symbol is taken, as at 0: a lead of 0.01 would be a factor of e^100."""

LARGEST_TEMPERATURE = 1e38
"""Above it all is as at it: in float32 a larger one is infinite, and minus infinity by it is no number."""


def random_stream(seed: int, number: int) -> np.random.Generator:
    """Where sample `number` of a seed draws its chances from, beside however many others it is written."""
    return np.random.default_rng([seed, number])


def never_drawn(*, ends: bool) -> int:
    """How many of the first ids are not drawn: what stands for no text, and END unless samples end at it."""
    return END if ends else END + 1


def not_finite() -> RunError:
    """What is raised where the logits are not numbers."""
    return RunError("the model's logits are not finite numbers", hint="its weights may have diverged")


_ALL = int(np.iinfo(np.int64).max)
"""What C can be told of `top_k`; there is no vocabulary of so many symbols."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which symbols may be drawn, and how boldly. What is set applies in the order of the attributes.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest symbol every time (the first of equals).
        top_k: only the k likeliest symbols, and those as likely as the last of them.
        top_p: only the likeliest symbols that together hold this share, and those as likely as the last of
            them (arXiv 1904.09751).
        min_p: only symbols at least this many times as likely as the likeliest (arXiv 2407.01082).

    Raises:
        InputError: a value that is none of these.
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
        """One symbol for each lane, (B,), by inversion of the cumulative distribution.

        Args:
            logits: (B, V) in float32; minus infinity is never drawn.
            chances: (B,) in [0, 1), the place in the distribution of the symbol to draw.

        Raises:
            RunError: the logits are not numbers.
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
        """The same for the C code."""
        return Drawing(
            temperature=0.0 if self.temperature < SMALLEST_TEMPERATURE else self._divisor,
            top_k=_ALL if self.top_k is None else min(self.top_k, _ALL),
            top_p=1.0 if self.top_p is None else self.top_p,
            min_p=self.min_p or 0.0,
        )

    def _drawn(self, logits: np.ndarray, chances: np.ndarray) -> np.ndarray | None:
        """What layers/kernels/draw.c computes, in NumPy; None if the logits are not finite numbers."""
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
        """Weights (B, V), at most 1, with 0 for the symbols that may not be drawn."""
        symbols = weights.shape[1]
        if self.top_k is not None and self.top_k < symbols:
            least = np.partition(weights, symbols - self.top_k, axis=1)[:, symbols - self.top_k, None]
            weights = np.where(weights >= least, weights, 0)
        if self.top_p is not None and self.top_p < 1:
            falling = np.sort(weights, axis=1)[:, ::-1]
            cumulative = falling.cumsum(axis=1, dtype=np.float64)
            needed = (cumulative < self.top_p * cumulative[:, -1:]).sum(axis=1)  # before the last one needed
            weights = np.where(weights >= np.take_along_axis(falling, needed[:, None], 1), weights, 0)
        if self.min_p is not None:
            weights = np.where(weights >= self.min_p * weights.max(axis=1, keepdims=True), weights, 0)
        return weights
