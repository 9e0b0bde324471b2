"""An n-gram model with backoff: a feature of the detector, and a baseline beside it.

Probabilities are interpolated after Witten and Bell (1991). If a context occurred c times, before d distinct
symbols,

    p(symbol | context) = (count(context, symbol) + d * p(symbol | shorter context)) / (c + d)

and the shortest context, which has no symbol, is interpolated with 1 / V.

An n-gram of n symbols has a code: its symbols as digits in base V, the last symbol as the lowest digit, so
that the code of its context is `code // V`. Codes are int64. If V^n is too large for that, the context is
hashed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END
from onward.stored import StoredModel
from onward.watch.scoring.header_types import Integers, check_codes, check_symbols

ORDER = 6
"""The longest n-grams of a detector; shorter if their codes do not fit into int64 (see `order_of`)."""

MOST_NGRAMS = 100_000
"""How many n-grams of each length a detector keeps; the rarest are dropped."""


MOST_OCCURRENCES = 2**53
"""The largest total of the counts of one length, so that float64 holds it exactly."""


class _Table(NamedTuple):
    """The n-grams of one length.

    Attributes:
        codes: the codes of the n-grams, sorted.
        counts: how often each n-gram occurred.
        contexts: the codes of the distinct contexts, sorted.
        occurred: how often each context occurred.
        kinds: the number of distinct symbols after each context.
    """

    codes: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    occurred: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, counts: np.ndarray, contexts: np.ndarray) -> "_Table":
        """Returns the table of sorted n-grams, given the context of each n-gram."""
        distinct, place, kinds = np.unique(contexts, return_inverse=True, return_counts=True)
        occurred = np.bincount(place, weights=counts, minlength=len(distinct)).astype(np.int64)
        return cls(codes, counts, distinct, occurred, kinds)

    def interpolate(self, contexts: np.ndarray, codes: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        """Returns the probabilities of n-grams, given those by the shorter context, all (N,)."""
        place, is_known = _find(self.contexts, contexts)
        own, is_own = _find(self.codes, codes)
        count = np.where(is_own, self.counts[own], 0)
        kinds = self.kinds[place]
        return np.where(is_known, (count + kinds * shorter) / (self.occurred[place] + kinds), shorter)

    def interpolate_all(self, context: int, shorter: np.ndarray) -> np.ndarray:
        """Returns the probabilities of all symbols (V,) after one context. The codes must be exact."""
        symbols = len(shorter)
        first, last = np.searchsorted(self.codes, [context * symbols, (context + 1) * symbols])
        if first == last:
            return shorter
        counts = self.counts[first:last]
        mixed = shorter * len(counts)
        mixed[self.codes[first:last] - context * symbols] += counts
        return mixed / (len(counts) + counts.sum())


class _Runs(NamedTuple):
    """Occurrences of n-grams of one length: their codes and the codes of their contexts, each (N,)."""

    contexts: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class NgramModel:
    """Counts of n-grams of length 1 up to the order of the model.

    Attributes:
        symbols: the number of symbols V.
        tables: the n-grams of each length.
    """

    symbols: int
    tables: tuple[_Table, ...]

    @classmethod
    def of(
        cls,
        sequences: Sequences,
        symbols: int,
        *,
        order: int | None = None,
        most: int | None = MOST_NGRAMS,
    ) -> "NgramModel":
        """Returns the model of sequences, each with BEGINs before it and END after it.

        Args:
            sequences: at least one sequence.
            symbols: the number of symbols V.
            order: the longest n-grams; by default `order_of(symbols)`. With a larger order, the codes are
                hashes and the model cannot be written as JSON.
            most: how many n-grams of each length to keep; None keeps all.
        """
        runs = _runs_of_sequences(sequences, symbols, order or order_of(symbols))
        return cls(symbols, tuple(_count(part, most) for part in runs))

    @classmethod
    def of_text(cls, ids: np.ndarray, symbols: int, order: int) -> "NgramModel":
        """Returns the model of one text (N,), without BEGIN and END.

        Raises:
            ValueError: V^order does not fit into int64.
        """
        if symbols**order >= 1 << 63:
            raise ValueError(
                f"expected an order whose codes fit into 63 bits, got {order} for {symbols} symbols"
            )
        tables, codes = [], np.zeros(len(ids), np.int64)
        for length in range(order):
            codes = codes[: len(ids) - length] * symbols + ids[length:]
            tables.append(_count(_Runs(codes // symbols, codes), None))
        return cls(symbols, tuple(tables))

    @property
    def order(self) -> int:
        return len(self.tables)

    def largest_and_mean(self, sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Returns the bits of the least likely event and the mean bits of each sequence, END included, (n,).

        There must be at least one sequence.
        """
        bits = self._bits(_runs_of_sequences(sequences, self.symbols, self.order))
        starts = sequences.starts[:-1] + np.arange(len(sequences))
        sums = np.add.reduceat(bits, starts)
        return np.maximum.reduceat(bits, starts), sums / (sequences.lengths + 1)

    def totals(self, sequences: Sequences) -> np.ndarray:
        """Returns the total bits of each sequence, END included, (n,)."""
        if not len(sequences):
            return np.zeros(0)
        return self.largest_and_mean(sequences)[1] * (sequences.lengths + 1)

    def bits_after(self, before: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Returns the bits of single events (n,), given the events before each, (n, ORDER - 1), the last one
        last.

        The codes must be exact.
        """
        contexts, weight = np.zeros_like(ids), 1
        runs = [_Runs(contexts, ids)]
        for column in before.T[::-1][: self.order - 1]:
            contexts = contexts + column * weight
            weight *= self.symbols
            runs.append(_Runs(contexts, ids + contexts * self.symbols))
        return self._bits(runs)

    def refine(self, context: Sequence[int], shares: np.ndarray) -> np.ndarray:
        """Returns the probabilities of all symbols after a context of at most order - 1 symbols, (V,).

        The codes must be exact.

        Args:
            context: the ids of the context, the last one last.
            shares: the probabilities after the context without its first symbol; 1 / V for the empty context.
        """
        code = 0
        for symbol in context:
            code = code * self.symbols + symbol
        return self.tables[len(context)].interpolate_all(code, shares)

    def _bits(self, runs: list[_Runs]) -> np.ndarray:
        """Returns the bits of the last symbols of runs, given the runs of each length."""
        shares = np.full(len(runs[0].codes), 1.0 / self.symbols)
        for table, run in zip(self.tables, runs, strict=True):
            shares = table.interpolate(run.contexts, run.codes, shares)
        return -np.log2(shares)

    def to_json(self) -> dict[str, Any]:
        return {
            "symbols": self.symbols,
            "codes": [table.codes.tolist() for table in self.tables],
            "counts": [table.counts.tolist() for table in self.tables],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], symbols: int) -> "NgramModel":
        """Returns the model that `to_json` wrote for a vocabulary of `symbols` ids.

        Raises:
            ValueError: the data does not describe n-grams of these symbols.
        """
        header = _NgramHeader.model_validate(data)
        check_symbols(header.symbols, symbols, "n-grams")
        orders = len(header.codes), len(header.counts)
        if not 1 <= orders[0] == orders[1] <= order_of(symbols):
            raise ValueError(f"expected n-grams of 1 to {order_of(symbols)} lengths, found {orders}")
        tables = []
        for length, (codes, counts) in enumerate(zip(header.codes, header.counts, strict=True), 1):
            if not len(codes) or len(codes) != len(counts) or counts.min() < 1:
                raise ValueError(f"expected a count of 1 or more for each n-gram of {length} symbols")
            if counts.sum(dtype=np.float64) > MOST_OCCURRENCES:
                raise ValueError(f"expected n-grams of {length} symbols to occur at most 2**53 times")
            check_codes(codes, symbols**length, f"n-grams of {length} symbols")
            tables.append(_Table.of(codes, counts, codes // symbols))
        return cls(symbols, tuple(tables))


class _NgramHeader(StoredModel):
    symbols: int
    codes: list[Integers]
    counts: list[Integers]


def order_of(symbols: int) -> int:
    """Returns the longest n-grams of a detector, up to ORDER, whose codes fit into int64."""
    return max(order for order in range(1, ORDER + 1) if order == 1 or symbols**order < 1 << 63)


def _count(runs: _Runs, most: int | None) -> _Table:
    """Returns the table of n-grams of one length, given their occurrences."""
    codes, first, counts = np.unique(runs.codes, return_index=True, return_counts=True)
    if most is not None and len(codes) > most:
        kept = np.sort(np.argsort(-counts, kind="stable")[:most])
        codes, first, counts = codes[kept], first[kept], counts[kept]
    return _Table.of(codes, counts, runs.contexts[first])


def _runs_of_sequences(sequences: Sequences, symbols: int, order: int) -> list[_Runs]:
    """Returns the n-grams that end at each event and END, for each length up to the order, (N + n,)."""
    y = np.insert(sequences.ids, sequences.starts[1:], END)
    begins = np.zeros(len(y), bool)
    begins[sequences.starts[:-1] + np.arange(len(sequences))] = True
    contexts, before, is_before_begin, weight = np.zeros(len(y), np.int64), y, begins, 1
    runs = []
    for length in range(1, order + 1):
        codes = contexts * symbols + y  # with a hashed context it wraps around, and is an equally good hash
        runs.append(_Runs(contexts, codes))
        before = np.where(is_before_begin, BEGIN, np.append(BEGIN, before[:-1]))
        is_before_begin = begins | np.append(True, is_before_begin[:-1])
        if symbols ** (length + 1) < 1 << 63:
            contexts = contexts + before * weight
        else:
            contexts = _hash(contexts, before)
        weight *= symbols
    return runs


def _hash(contexts: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns hashes of contexts with one more symbol before them, (N,); the finaliser of SplitMix64."""
    x = contexts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + before.astype(np.uint64) + np.uint64(1)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.int64)


def _find(ordered: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place of each value in a sorted array, and whether it is there."""
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return place, ordered[place] == values
