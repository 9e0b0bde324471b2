"""The surprise of events by two predictors together, and of whole sequences.

The model and the n-gram model each give an event a probability. Their mixture has the probability

    p = w * p(model) + (1 - w) * p(n-gram)

with a weight w from 0 to 1, the same for all events. It is the weight with which held-out normal events are
the least surprising. So with little data, or little training, the n-gram model decides.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from onward.stored import LARGEST, StoredModel

TOP = 4
"""Number of the most surprising events of a sequence whose mean is a feature."""

_ROUNDS = 50
"""Rounds of expectation maximisation for the weight; it changes little after ten."""


class Surprise(NamedTuple):
    """The surprise of n sequences by one predictor. END counts as an event.

    Attributes:
        totals: total bits, (n,).
        tops: bits of the TOP most surprising events, the highest first, (n, TOP); 0 for missing events.
    """

    totals: np.ndarray
    tops: np.ndarray

    @classmethod
    def of(cls, bits: np.ndarray, lengths: np.ndarray) -> "Surprise":
        """Returns the surprise of sequences.

        Args:
            bits: the bits of the events of all sequences, one sequence after the other, (N,).
            lengths: number of events of each sequence, at least one, (n,).
        """
        count, tops = len(lengths), np.zeros((len(lengths), TOP))
        if not count:
            return cls(np.zeros(0), tops)
        owners, starts = np.repeat(np.arange(count), lengths), np.cumsum(lengths) - lengths
        ordered = bits[np.lexsort((-bits, owners))]
        for rank in range(TOP):
            has_rank = lengths > rank
            tops[has_rank, rank] = ordered[starts[has_rank] + rank]
        return cls(np.add.reduceat(bits, starts), tops)

    @classmethod
    def join(cls, sequences: "Sequence[RunningSurprise]") -> "Surprise":
        """Returns the surprise of sequences that were read event by event."""
        tops = np.array([sequence.tops for sequence in sequences]).reshape(-1, TOP)
        return cls(np.array([sequence.total for sequence in sequences]), tops)


@dataclass(frozen=True)
class RunningSurprise:
    """The surprise of one open sequence by one predictor.

    Attributes:
        total: total bits.
        tops: bits of the TOP most surprising events, the highest first; 0 for missing events.
    """

    total: float = 0.0
    tops: tuple[float, ...] = (0.0,) * TOP

    def add(self, bits: float) -> "RunningSurprise":
        """Returns the surprise after one more event."""
        is_top = bits > self.tops[-1]
        tops = tuple(sorted((*self.tops, bits), reverse=True)[:TOP]) if is_top else self.tops
        return RunningSurprise(self.total + bits, tops)

    @property
    def top(self) -> float:
        """Mean bits of the TOP most surprising events."""
        return sum(self.tops) / TOP


NO_SURPRISE = RunningSurprise()


@dataclass(frozen=True)
class Mixture:
    """The mixture of the model and the n-gram model.

    Attributes:
        weight: the weight of the model, from 0 to 1.
        bits_per_event: mean surprise of normal events.
    """

    weight: float
    bits_per_event: float

    @classmethod
    def of(cls, by_model: np.ndarray, by_ngram: np.ndarray) -> "Mixture":
        """Returns the mixture for the bits of held-out normal events by both predictors, both (N,)."""
        model, ngram, weight = np.exp2(-by_model), np.exp2(-by_ngram), 0.5
        for _ in range(_ROUNDS):
            share = weight * model
            weight = float((share / (share + (1 - weight) * ngram)).mean())
        return cls(weight, float(-np.log2(weight * model + (1 - weight) * ngram).mean()))

    def bits(
        self, by_model: np.ndarray, by_ngram: np.ndarray, learned: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the bits of events by the mixture, (N,).

        Args:
            by_model: their bits by the model, (N,).
            by_ngram: their bits by the n-gram model, (N,).
            learned: whether only the n-gram model has learned them, (N,). Its bits are theirs if fewer.
        """
        mixed = -np.log2(self.weight * np.exp2(-by_model) + (1 - self.weight) * np.exp2(-by_ngram))
        return mixed if learned is None else np.where(learned, np.minimum(mixed, by_ngram), mixed)

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Mixture":
        """Returns the mixture that `to_json` wrote.

        Raises:
            ValueError: the data is not a mixture.
        """
        header = _MixtureHeader.model_validate(data)
        return cls(header.weight, header.bits_per_event)


class _MixtureHeader(StoredModel):
    weight: Annotated[float, Field(ge=0, le=1)]
    bits_per_event: Annotated[float, Field(ge=0, le=LARGEST)]
