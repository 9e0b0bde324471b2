"""An n-gram model with backoff: a feature of the detector, and a baseline beside it.

Probabilities are interpolated after Witten and Bell (1991). If a context occurred c times, before d distinct
symbols,

    p(symbol | context) = (count(context, symbol) + d * p(symbol | shorter context)) / (c + d)

and the shortest context, which has no symbol, is interpolated with 1 / V.

An n-gram has a code in int64: `code of its context * S + last symbol`, where S is the number of ids. The code
of a context has its symbols as digits in base S, the last symbol as the lowest digit. If that is too large
for int64, the code of a context is a hash of its first symbol and of the code of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END
from onward.stored import StoredModel
from onward.watch.scoring.header_types import Integers, check_codes, check_symbols

ORDER = 10
"""The longest n-grams of a detector."""

WINDOW = 6
"""The length of the windows of `unseen_windows`; six is the classical length for system calls."""

MOST_NGRAMS = 100_000
"""How many n-grams of each length a detector keeps; the rarest are dropped."""

Runs: TypeAlias = list[np.ndarray]
"""For each length, the codes of the n-grams of this length that end at each of N events, (N,)."""

_LIMIT = 1 << 63

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
    def of(cls, codes: np.ndarray, counts: np.ndarray, symbols: int) -> "_Table":
        """Returns the table of sorted n-grams, at least one."""
        contexts = codes // symbols
        starts = np.flatnonzero(np.append(True, contexts[1:] != contexts[:-1]))
        kinds = np.diff(np.append(starts, len(codes)))
        return cls(codes, counts, contexts[starts], np.add.reduceat(counts, starts), kinds)

    def add(self, occurrences: np.ndarray, times: int, symbols: int) -> "_Table":
        """Returns the table with further occurrences of n-grams, given the code of each; it counts `times`.

        If it then has more than twice `MOST_NGRAMS` n-grams, the rarest are dropped.
        """
        added, numbers = np.unique(occurrences, return_counts=True)
        numbers = numbers * times
        places, is_known = _find(self.codes, added)
        counts = self.counts.copy()
        counts[places[is_known]] += numbers[is_known]
        new = added[~is_known]
        at = np.searchsorted(self.codes, new)
        codes, counts = np.insert(self.codes, at, new), np.insert(counts, at, numbers[~is_known])
        return _Table.of(*_most_frequent(codes, counts, MOST_NGRAMS, above=2 * MOST_NGRAMS), symbols)

    def interpolate(self, codes: np.ndarray, shorter: np.ndarray, symbols: int) -> np.ndarray:
        """Returns the probabilities of n-grams by their codes and those by the shorter context, all (N,)."""
        place, is_known = _find(self.contexts, codes // symbols)
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


@dataclass(frozen=True)
class NgramModel:
    """Counts of n-grams of length 1 up to the order of the model.

    Attributes:
        symbols: the number of ids S; codes are numbers in base S.
        tables: the n-grams of each length.
        outcomes: the number of symbols V that the empty context is interpolated with.
    """

    symbols: int
    tables: tuple[_Table, ...]
    outcomes: int

    @classmethod
    def of(
        cls,
        sequences: Sequences,
        symbols: int,
        *,
        outcomes: int | None = None,
        order: int = ORDER,
        most: int | None = MOST_NGRAMS,
    ) -> "NgramModel":
        """Returns the model of sequences, each with BEGINs before it and END after it.

        Args:
            sequences: at least one sequence.
            symbols: the number of ids S.
            outcomes: the number of symbols V, if some ids are spare; by default S.
            order: the longest n-grams.
            most: how many n-grams of each length to keep; None keeps all.
        """
        runs = _runs_of_sequences(sequences, symbols, order)
        return cls(symbols, tuple(_count(codes, symbols, most) for codes in runs), outcomes or symbols)

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
            tables.append(_count(codes, symbols, None))
        return cls(symbols, tuple(tables), symbols)

    @property
    def order(self) -> int:
        return len(self.tables)

    @property
    def events(self) -> int:
        """The number of symbols that were counted."""
        return int(self.tables[0].counts.sum())

    def extend(self, sequences: Sequences, *, ended: bool = True, times: int = 1) -> "NgramModel":
        """Returns the model with further sequences.

        Args:
            sequences: the sequences.
            ended: whether the last one has ended. If not, its END is left out.
            times: how often each occurrence counts.
        """
        if not len(sequences):
            return self
        runs = _runs_of_sequences(sequences, self.symbols, self.order)
        tables = (
            table.add(run if ended else run[:-1], times, self.symbols)
            for table, run in zip(self.tables, runs, strict=True)
        )
        return NgramModel(self.symbols, tuple(tables), self.outcomes)

    def bits(self, sequences: Sequences) -> np.ndarray:
        """Returns the bits of the events of sequences, each with its END, one after the other, (N + n,)."""
        return self.bits_of(self.runs(sequences))

    def runs(self, sequences: Sequences) -> Runs:
        """Returns the codes of the n-grams that end at each event and END of sequences, (N + n,) each.

        All models with the same number of ids and the same order have the same codes.
        """
        return _runs_of_sequences(sequences, self.symbols, self.order)

    def unseen_windows(self, sequences: Sequences) -> np.ndarray:
        """Returns the share of each sequence's windows of `WINDOW` events that never occurred, (n,).

        This is STIDE (Forrest et al. 1996). BEGINs before a sequence and its END are part of windows too.
        """
        unseen = ~self.has_windows(_runs_of_sequences(sequences, self.symbols, WINDOW))
        return sequences.sums(unseen.astype(np.float64)) / (sequences.lengths + 1)

    def has_windows(self, runs: Runs) -> np.ndarray:
        """Returns whether the windows of `WINDOW` events that end where the n-grams do occurred, (N,)."""
        return _find(self.tables[WINDOW - 1].codes, runs[WINDOW - 1])[1]

    def runs_after(self, before: np.ndarray, ids: np.ndarray) -> Runs:
        """Returns the codes of the n-grams that end at single events, (n,) each.

        Args:
            before: the events before each, (n, ORDER - 1), the last one last.
            ids: the events, (n,).
        """
        contexts = np.zeros_like(ids)
        runs = [ids]
        for length, column in enumerate(before.T[::-1][: self.order - 1], 1):
            contexts = _lengthened(contexts, column, length, self.symbols)
            runs.append(ids + contexts * self.symbols)
        return runs

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

    def bits_of(self, runs: Runs) -> np.ndarray:
        """Returns the bits of the last symbols of n-grams, (N,)."""
        shares = np.full(len(runs[0]), 1.0 / self.outcomes)
        for table, codes in zip(self.tables, runs, strict=True):
            shares = table.interpolate(codes, shares, self.symbols)
        return -np.log2(shares)

    def to_json(self) -> dict[str, Any]:
        return {
            "symbols": self.symbols,
            "outcomes": self.outcomes,
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
        if header.outcomes > symbols:
            raise ValueError(f"expected at most {symbols:,} symbols of n-grams, found {header.outcomes:,}")
        orders = len(header.codes), len(header.counts)
        if orders != (ORDER, ORDER):
            raise ValueError(f"expected n-grams of {ORDER} lengths, found {orders}")
        tables = []
        for length, (codes, counts) in enumerate(zip(header.codes, header.counts, strict=True), 1):
            if not len(codes) or len(codes) != len(counts) or counts.min() < 1:
                raise ValueError(f"expected a count of 1 or more for each n-gram of {length} symbols")
            if counts.sum(dtype=np.float64) > MOST_OCCURRENCES:
                raise ValueError(f"expected n-grams of {length} symbols to occur at most 2**53 times")
            check_codes(codes, _limit(length, symbols), f"n-grams of {length} symbols")
            tables.append(_Table.of(codes, counts, symbols))
        return cls(symbols, tuple(tables), header.outcomes)


class _NgramHeader(StoredModel):
    symbols: int
    outcomes: Annotated[int, Field(ge=1)]
    codes: list[Integers]
    counts: list[Integers]


def _count(codes: np.ndarray, symbols: int, most: int | None) -> _Table:
    """Returns the table of n-grams of one length, given the code of each occurrence."""
    codes, counts = np.unique(codes, return_counts=True)
    if most is not None:
        codes, counts = _most_frequent(codes, counts, most, above=most)
    return _Table.of(codes, counts, symbols)


def _most_frequent(
    codes: np.ndarray, counts: np.ndarray, most: int, above: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the `most` most frequent n-grams in their order, if there are more than `above`."""
    if len(codes) <= above:
        return codes, counts
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    return codes[kept], counts[kept]


def _runs_of_sequences(sequences: Sequences, symbols: int, order: int) -> list[np.ndarray]:
    """Returns the codes of the n-grams that end at each event and END, (N + n,), for each length."""
    y = np.insert(sequences.ids, sequences.starts[1:], END)
    begins = np.zeros(len(y), bool)
    begins[sequences.starts[:-1] + np.arange(len(sequences))] = True
    contexts, before, is_before_begin = np.zeros(len(y), np.int64), y, begins
    runs = [y]
    for length in range(1, order):
        before = np.where(is_before_begin, BEGIN, np.append(BEGIN, before[:-1]))
        is_before_begin = begins | np.append(True, is_before_begin[:-1])
        contexts = _lengthened(contexts, before, length, symbols)
        runs.append(contexts * symbols + y)
    return runs


def _limit(length: int, symbols: int) -> int:
    """Returns the number of possible codes of n-grams of a length."""
    return min(symbols**length, _LIMIT // symbols * symbols)


def _lengthened(contexts: np.ndarray, before: np.ndarray, length: int, symbols: int) -> np.ndarray:
    """Returns the codes of contexts with the symbols before them, (N,), which then have `length` symbols."""
    if symbols ** (length + 1) < _LIMIT:
        return contexts + before * symbols ** (length - 1)
    x = contexts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + before.astype(np.uint64) + np.uint64(1)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # the finaliser of SplitMix64
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) % np.uint64(_LIMIT // symbols)).astype(np.int64)


def _find(ordered: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place of each value in a sorted array, and whether it is there."""
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return place, ordered[place] == values
