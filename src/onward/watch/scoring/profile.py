"""What occurred in normal sequences: which events, which pairs of them, and how many of each in one."""

from functools import cached_property
from typing import Any

import numpy as np
import torch

from onward.data.hashing import mixed
from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END, UNKNOWN

MOST_COUNTS = 2000
"""Vectors of counts that are kept; of more, some chosen by a hash."""

_AT_ONCE = 4096


class Profile:
    """Memory of normal sequences, beside the model.

    Args:
        symbols: V, ids that there are.
        pairs: prev * V + next of each pair that occurred, with BEGIN and END, sorted, (P,) in int64.
        counts: distinct vectors of counts that occurred, (U, V).
    """

    def __init__(self, symbols: int, pairs: np.ndarray, counts: np.ndarray) -> None:
        self.symbols, self.pairs, self.counts = symbols, pairs, counts

    @classmethod
    def of(cls, sequences: Sequences, symbols: int) -> "Profile":
        """Of normal sequences."""
        pairs = np.unique(pairs_of(sequences, symbols))
        counts = np.unique(counts_of(sequences, symbols), axis=0)
        if len(counts) > MOST_COUNTS:
            counts = counts[np.sort(np.argsort(mixed(np.arange(len(counts)), 0, 0))[:MOST_COUNTS])]
        return cls(symbols, pairs, counts)

    def is_new(self, before: int, event: int) -> bool:
        """Whether an event did not occur, or not behind that one."""
        return event == UNKNOWN or before * self.symbols + event not in self._known_pairs

    def new_in(self, sequences: Sequences) -> np.ndarray:
        """How many events of each sequence are new in the sense of `is_new`, with its END, (n,)."""
        codes = pairs_of(sequences, self.symbols)
        new = (codes % self.symbols == UNKNOWN) | ~np.isin(codes, self.pairs)
        starts = sequences.starts[:-1] + np.arange(len(sequences))  # each has one pair more than events
        return np.add.reduceat(new.astype(np.int64), starts) if len(sequences) else np.zeros(0, np.int64)

    def nearest(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far vectors of counts (n, V) are from the nearest that occurred, and which that is, each (n,).

        The distance is the number of events that one has and the other has not.
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
        for start in range(0, len(unknown), _AT_ONCE):
            part = np.array(unknown[start : start + _AT_ONCE])
            asked = torch.from_numpy(rows[part].astype(np.float32))
            least = torch.cdist(asked, self._reference, p=1.0).min(dim=1)
            distances[part], places[part] = least.values.numpy(), least.indices.numpy()
        return distances, places

    def differences(self, counts: np.ndarray, place: int, most: int) -> list[tuple[int, int, int]]:
        """Events whose number in a vector of counts (V,) is not that in the one at a place.

        Returns:
            (event, number, number at the place), the most different first.
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
        """The profile as plain values; of a vector of counts, the ids and how often each occurred."""
        rows = [[row.nonzero()[0].tolist(), row[row.nonzero()].tolist()] for row in self.counts]
        return {"symbols": self.symbols, "pairs": self.pairs.tolist(), "counts": rows}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Profile":
        """The profile that `to_json` wrote."""
        counts = np.zeros((len(data["counts"]), data["symbols"]), np.uint16)
        for row, (ids, values) in zip(counts, data["counts"], strict=True):
            row[ids] = values
        return cls(data["symbols"], np.array(data["pairs"], np.int64), counts)


def pairs_of(sequences: Sequences, symbols: int) -> np.ndarray:
    """prev * V + next of each event and of the END of each sequence, in order, (N + n,)."""
    count = len(sequences)
    x = np.insert(sequences.ids, sequences.starts[:-1], BEGIN) if count else sequences.ids
    y = np.insert(sequences.ids, sequences.starts[1:], END) if count else sequences.ids
    return x * symbols + y


def counts_of(sequences: Sequences, symbols: int) -> np.ndarray:
    """How often each id occurs in each sequence, (n, V) in uint16, where 65,535 stands for all beyond."""
    owners = np.repeat(np.arange(len(sequences)), sequences.lengths)
    codes, numbers = np.unique(owners * symbols + sequences.ids, return_counts=True)
    counts = np.zeros(len(sequences) * symbols, np.uint16)  # and nothing larger of that size
    counts[codes] = np.minimum(numbers, 65_535)
    return counts.reshape(len(sequences), symbols)
