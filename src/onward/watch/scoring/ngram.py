"""An n-gram model with backoff and an end symbol: the yardstick that a recurrent model has to pass.

Interpolated as by Witten and Bell (1991): of a context that occurred c times before d different events,

    p(event | context) = (count(context, event) + d * p(event | shorter context)) / (c + d)

down to one over the number of symbols.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END

ORDER = 6
"""Events of a gram, the predicted one among them; fewer where its number would be no int64."""

MOST_GRAMS = 100_000
"""Of each length that are kept; the rarest go first."""


@dataclass(frozen=True)
class Grams:
    """Counts of runs of 1 to `order_of(symbols)` symbols.

    Attributes:
        symbols: V.
        codes: of each length, the runs that occurred as numbers in base V, sorted.
        counts: how often each did.
    """

    symbols: int
    codes: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, sequences: Sequences, symbols: int) -> "Grams":
        """The runs of sequences, each with BEGINs before it and END behind it."""
        found = []
        for codes in _runs(sequences, symbols):
            distinct, counts = np.unique(codes, return_counts=True)
            if len(distinct) > MOST_GRAMS:
                kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_GRAMS])
                distinct, counts = distinct[kept], counts[kept]
            found.append((distinct, counts))
        return cls(symbols, tuple(codes for codes, _ in found), tuple(counts for _, counts in found))

    def largest_and_mean(self, sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Bits of the least probable event of each sequence, and the mean of all, END among them, (n,).

        Of one sequence at least.
        """
        bits = self._bits(_runs(sequences, self.symbols))
        starts = sequences.starts[:-1] + np.arange(len(sequences))
        sums = np.add.reduceat(bits, starts)
        return np.maximum.reduceat(bits, starts), sums / (sequences.lengths + 1)

    def totals(self, sequences: Sequences) -> np.ndarray:
        """Bits of all events of each sequence, END among them, (n,)."""
        if not len(sequences):
            return np.zeros(0)
        return self.largest_and_mean(sequences)[1] * (sequences.lengths + 1)

    def bits_after(self, before: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Bits of one event each, (n,), by those before it, (n, ORDER - 1), the latest last."""
        runs, weight = [ids], 1
        for column in before.T[::-1][: len(self.codes) - 1]:
            weight *= self.symbols
            runs.append(runs[-1] + column * weight)
        return self._bits(runs)

    def _bits(self, runs: list[np.ndarray]) -> np.ndarray:
        """Of the last symbols of runs, of each length one."""
        shares = np.full(len(runs[0]), 1.0 / self.symbols)
        for length, run in enumerate(runs):
            shares = self._refined(length, run, shares)
        return -np.log2(shares)

    def _refined(self, length: int, runs: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """The probabilities with one symbol of context more."""
        contexts = self._contexts[length]
        place, known = _found(contexts.codes, runs // self.symbols)
        own, is_own = _found(self.codes[length], runs)
        count = np.where(is_own, self.counts[length][own], 0)
        kinds = contexts.kinds[place]
        after = (count + kinds * shares) / (contexts.occurred[place] + kinds)
        return np.where(known, after, shares)

    @cached_property
    def _contexts(self) -> list["_Contexts"]:
        """Of the runs of each length."""
        return [_Contexts.of(*part, self.symbols) for part in zip(self.codes, self.counts, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """The counts as plain values."""
        return {
            "symbols": self.symbols,
            "codes": [codes.tolist() for codes in self.codes],
            "counts": [counts.tolist() for counts in self.counts],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Grams":
        """The counts that `to_json` wrote."""
        codes, counts = (tuple(np.array(part, np.int64) for part in data[n]) for n in ("codes", "counts"))
        return cls(data["symbols"], codes, counts)


def order_of(symbols: int) -> int:
    """The longest run that is counted of so many symbols."""
    return max(order for order in range(1, ORDER + 1) if order == 1 or symbols**order < 1 << 63)


class _Contexts(NamedTuple):
    """What stood before the last symbol of a run: sorted codes, how often, and before how many symbols."""

    codes: np.ndarray
    occurred: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, counts: np.ndarray, symbols: int) -> "_Contexts":
        contexts, first = np.unique(codes // symbols, return_index=True)
        return cls(contexts, np.add.reduceat(counts, first), np.diff(np.append(first, len(codes))))


def _runs(sequences: Sequences, symbols: int) -> list[np.ndarray]:
    """The run that ends at each event and END of the sequences, of each length, (N + n,)."""
    y = np.insert(sequences.ids, sequences.starts[1:], END)
    begins = np.zeros(len(y), bool)
    begins[sequences.starts[:-1] + np.arange(len(sequences))] = True
    runs, codes, before, started = [y], y, y, begins
    weight = symbols
    for _ in range(order_of(symbols) - 1):
        before = np.where(started, BEGIN, np.append(BEGIN, before[:-1]))
        started = begins | np.append(True, started[:-1])
        codes = codes + before * weight
        weight *= symbols
        runs.append(codes)
    return runs


def _found(ordered: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of each in a sorted array, and whether it is there."""
    place = np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)
    return place, ordered[place] == asked
