"""A profile of normal sequences: which events, pairs of events and numbers of events occurred."""

from functools import cached_property
from itertools import chain
from typing import Annotated, Any

import numpy as np
import torch

from onward.data.hashing import mixed
from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END, UNKNOWN
from onward.stored import AsTuple, StoredModel
from onward.watch.scoring.header_types import (
    Integers,
    check_codes,
    check_symbols,
    integers,
)

MOST_COUNTS = 2000
"""The most vectors of event counts that are kept from training. If there are more, a hash selects some."""

_MOST_COUNTS_WITH_FEEDBACK = 10 * MOST_COUNTS
_MOST_CELLS = 1 << 25
"""The largest number of counts in all vectors together; in memory, each takes eight bytes."""

_LARGEST_COUNT = 65_535
_BATCH = 4096


class Profile:
    """What occurred in normal sequences.

    Args:
        symbols: the number of ids V.
        pairs: `previous * V + next` for each pair that occurred, BEGIN and END included, sorted, (P,) in
            int64.
        counts: the distinct vectors of event counts that occurred, (U, V) in uint16.
    """

    def __init__(self, symbols: int, pairs: np.ndarray, counts: np.ndarray) -> None:
        self.symbols, self.pairs, self.counts = symbols, pairs, counts

    @classmethod
    def of(cls, sequences: Sequences, symbols: int) -> "Profile":
        """Returns the profile of normal sequences."""
        pairs = np.unique(pairs_of(sequences, symbols))
        counts = np.unique(counts_of(sequences, symbols), axis=0)
        if len(counts) > MOST_COUNTS:
            counts = counts[np.sort(np.argsort(mixed(np.arange(len(counts)), 0, 0))[:MOST_COUNTS])]
        return cls(symbols, pairs, counts)

    def extend(self, sequences: Sequences, *, ended: bool = True) -> "Profile":
        """Returns the profile with further normal sequences.

        If the last sequence has not ended, its END is left out, and its counts too. New count vectors are
        left out if there are already as many as a detector may have.
        """
        pairs, ended_count = pairs_of(sequences, self.symbols), len(sequences)
        if not ended:
            pairs, ended_count = pairs[:-1], ended_count - 1
        counts = counts_of(sequences.take(np.arange(ended_count)), self.symbols)
        return Profile(self.symbols, np.union1d(self.pairs, pairs), self._with_counts(counts))

    def _with_counts(self, counts: np.ndarray) -> np.ndarray:
        """Returns the vectors of the profile, and those among `counts` (n, V) that it does not have."""
        rows = {row.tobytes(): row for row in counts}
        new = [row for content, row in rows.items() if content not in self._known_counts]
        new = new[: max(0, _most_vectors(self.symbols) - len(self.counts))]
        return np.concatenate([self.counts, np.stack(new)]) if new else self.counts

    def is_new(self, previous: int, event: int) -> bool:
        """Whether an event never occurred, or never directly after the previous event."""
        return event == UNKNOWN or previous * self.symbols + event not in self._known_pairs

    def count_new(self, sequences: Sequences) -> np.ndarray:
        """Returns how many events of each sequence are new in the sense of `is_new`, END included, (n,)."""
        codes = pairs_of(sequences, self.symbols)
        new = (codes % self.symbols == UNKNOWN) | ~np.isin(codes, self.pairs)
        return sequences.sums(new.astype(np.int64))

    def nearest(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the distances of count vectors (n, V) from the nearest vectors of the profile, and the
        indices of these vectors.

        The distance is the number of events to add or remove. Both results are (n,).
        """
        distances, places = np.zeros(len(counts)), np.zeros(len(counts), np.int64)
        rows = counts.astype(np.uint16, copy=False)
        unknown = []
        for i, row in enumerate(rows):
            place = self._known_counts.get(row.tobytes())
            if place is None:
                unknown.append(i)
            else:
                places[i] = place
        for start in range(0, len(unknown), _BATCH):
            part = np.array(unknown[start : start + _BATCH])
            vectors = torch.from_numpy(rows[part].astype(np.float32))
            least = torch.cdist(vectors, self._reference, p=1.0).min(dim=1)
            distances[part], places[part] = least.values.numpy(), least.indices.numpy()
        return distances, places

    def differences(self, counts: np.ndarray, place: int, most: int) -> list[tuple[int, int, int]]:
        """Compares a count vector (V,) with the vector of the profile at index `place`.

        Returns:
            At most `most` tuples (event, number, number in the profile) of numbers that differ, the largest
            difference first.
        """
        found, normal = counts.astype(np.int64), self.counts[place].astype(np.int64)
        order = np.argsort(-np.abs(found - normal), kind="stable")[:most].tolist()
        return [(i, int(found[i]), int(normal[i])) for i in order if found[i] != normal[i]]

    @cached_property
    def _reference(self) -> torch.Tensor:
        return torch.from_numpy(self.counts.astype(np.float32))

    @cached_property
    def _known_pairs(self) -> frozenset[int]:
        return frozenset(self.pairs.tolist())

    @cached_property
    def _known_counts(self) -> dict[bytes, int]:
        return {row.tobytes(): i for i, row in enumerate(self.counts.astype(np.uint16))}

    def to_json(self) -> dict[str, Any]:
        """Returns the profile as JSON values; each count vector as its non-zero ids and their counts."""
        rows = [[row.nonzero()[0].tolist(), row[row.nonzero()].tolist()] for row in self.counts]
        return {"symbols": self.symbols, "pairs": self.pairs.tolist(), "counts": rows}

    @classmethod
    def from_json(cls, data: Any, symbols: int) -> "Profile":
        """Returns the profile that `to_json` wrote for a vocabulary of `symbols` ids.

        Raises:
            ValueError: the data is not a profile of these symbols.
        """
        header = _ProfileHeader.model_validate(data)
        check_symbols(header.symbols, symbols, "a profile")
        check_codes(header.pairs, symbols**2, "pairs of events")
        rows, most = len(header.counts), _most_vectors(symbols)
        if not 1 <= rows <= most:
            raise ValueError(f"expected 1 to {most:,} vectors of counts, found {rows:,}")
        if any(len(ids) != len(numbers) for ids, numbers in header.counts):
            raise ValueError("expected a count for each event of a vector")
        ids, numbers = (
            integers(list(chain.from_iterable(part))) for part in zip(*header.counts, strict=True)
        )
        if len(ids) and not 0 <= ids.min() <= ids.max() < symbols:
            raise ValueError(f"expected event ids from 0 to below {symbols:,} in each vector of counts")
        if len(ids) and not 1 <= numbers.min() <= numbers.max() <= _LARGEST_COUNT:
            raise ValueError(f"expected counts from 1 to {_LARGEST_COUNT:,}")
        codes = np.repeat(np.arange(rows), [len(ids) for ids, _ in header.counts]) * symbols + ids
        check_codes(codes, rows * symbols, "the events of each vector of counts")
        counts = np.zeros(rows * symbols, np.uint16)
        counts[codes] = numbers
        return cls(symbols, header.pairs, counts.reshape(rows, symbols))


def _most_vectors(symbols: int) -> int:
    """Returns the largest number of vectors of event counts (V,), with those of feedback."""
    return min(_MOST_COUNTS_WITH_FEEDBACK, max(MOST_COUNTS, _MOST_CELLS // symbols))


class _ProfileHeader(StoredModel):
    symbols: int
    pairs: Integers
    counts: list[Annotated[tuple[list[Any], list[Any]], AsTuple]]


def pairs_of(sequences: Sequences, symbols: int) -> np.ndarray:
    """Returns `previous * V + next` for each event and END of the sequences, in order, (N + n,)."""
    count = len(sequences)
    x = np.insert(sequences.ids, sequences.starts[:-1], BEGIN) if count else sequences.ids
    y = np.insert(sequences.ids, sequences.starts[1:], END) if count else sequences.ids
    return x * symbols + y


def counts_of(sequences: Sequences, symbols: int) -> np.ndarray:
    """Returns how often each id occurs in each sequence, (n, V) in uint16; larger counts become 65,535."""
    owners = np.repeat(np.arange(len(sequences)), sequences.lengths)
    codes, numbers = np.unique(owners * symbols + sequences.ids, return_counts=True)
    counts = np.zeros(len(sequences) * symbols, np.uint16)  # uint16, since this is the largest array
    counts[codes] = np.minimum(numbers, _LARGEST_COUNT)
    return counts.reshape(len(sequences), symbols)
