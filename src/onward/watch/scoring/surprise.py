"""The surprise of whole sequences: totals and the most surprising events, from the bits of each event."""

from typing import NamedTuple

import numpy as np

TOP = 4
"""Number of the most surprising events of a sequence whose mean is a feature."""


class Surprise(NamedTuple):
    """The surprise of n sequences by one predictor. END counts as an event.

    Attributes:
        totals: total bits, (n,).
        tops: bits of the TOP most surprising events, the highest first, (n, TOP); 0 for missing events.
    """

    totals: np.ndarray
    tops: np.ndarray


def surprise_of(bits: np.ndarray, lengths: np.ndarray) -> Surprise:
    """Returns the surprise of sequences.

    Args:
        bits: the bits of the events of all sequences, one sequence after the other, (N,).
        lengths: number of events of each sequence, at least one, (n,).
    """
    count, tops = len(lengths), np.zeros((len(lengths), TOP))
    if not count:
        return Surprise(np.zeros(0), tops)
    owners, starts = np.repeat(np.arange(count), lengths), np.cumsum(lengths) - lengths
    ordered = bits[np.lexsort((-bits, owners))]
    for rank in range(TOP):
        has_rank = lengths > rank
        tops[has_rank, rank] = ordered[starts[has_rank] + rank]
    return Surprise(np.add.reduceat(bits, starts), tops)
