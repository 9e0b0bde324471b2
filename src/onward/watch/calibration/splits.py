"""Splits: which sequences are scored for the calibration, and which sequences their model is trained on."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from onward.data.hashing import mixed
from onward.watch.calibration.conformal import Scheme

_LOOKUP_FOLDS = 20
_MOST_EVENTS_FOR_LOOKUP_FOLDS = 1_000_000
"""With more events, lookups and the n-gram use the folds of the model."""

_SHARE = 0.2
"""Share of the sequences that calibrate if there are no folds."""

_MOST_HELD_OUT = 100_000
"""Maximum number of calibration sequences: enough for a rate of 0.01 %, and few enough for the header."""


class Split(NamedTuple):
    """The indices of the sequences that a model is trained on, and of those that it scores."""

    training: np.ndarray
    held_out: np.ndarray


class SplitPlan(NamedTuple):
    """What each sequence is used for.

    Attributes:
        training: indices of the sequences that the detector's own model is trained on, in their order.
        held_out: indices of the sequences that are only used to calibrate; empty if there are folds.
        folds: splits of all sequences, for the calibration.
        lookup_folds: smaller folds for lookups and the n-gram; empty if they use the folds of the model.
        scheme: the scheme of the calibration (see `calibrate`).
    """

    training: np.ndarray
    held_out: np.ndarray
    folds: list[Split]
    lookup_folds: list[Split]
    scheme: Scheme


def plan_splits(
    count: int, events: int, *, folds: int, held_out: float | None, in_order: bool, seed: int
) -> SplitPlan:
    """Returns the plan for a number of sequences.

    Args:
        count: the number of sequences.
        events: the number of their events.
        folds: number of models besides the detector's own. With 1, and sequences in any order, there are no
            folds: the detector's own model scores a fifth of the sequences, which it does not learn.
        held_out: see `LearnSettings`.
        in_order: see `LearnSettings`.
        seed: seed of the random order.
    """
    drawn = np.argsort(mixed(np.arange(count), seed, 1), kind="stable")
    if held_out is not None:
        size = min(count - 2, max(4, round(count * held_out)))
        held = np.arange(count - size, count) if in_order else drawn[:size]
        return SplitPlan(np.setdiff1d(drawn, held), _thin_out(held, _MOST_HELD_OUT), [], [], "split")
    if in_order:
        return SplitPlan(np.arange(count), np.arange(0), forward_splits(count, min(folds, 2)), [], "halves")
    if folds == 1:
        size = max(4, round(count * _SHARE))
        return SplitPlan(np.sort(drawn[size:]), drawn[:size][:_MOST_HELD_OUT], [], [], "others")
    has_own_folds = folds < _LOOKUP_FOLDS and events <= _MOST_EVENTS_FOR_LOOKUP_FOLDS
    lookup_folds = random_folds(drawn, _LOOKUP_FOLDS) if has_own_folds else []
    return SplitPlan(np.arange(count), np.arange(0), random_folds(drawn, folds), lookup_folds, "others")


def random_folds(drawn: np.ndarray, folds: int) -> list[Split]:
    """Returns folds of sequences in random order; each sequence is held out once.

    If the number of folds is multiplied, each of the new folds is a part of one of the old ones. If there
    are more than `_MOST_HELD_OUT` sequences, only the first ones of the random order are held out.
    """
    held_out = [drawn[:_MOST_HELD_OUT][fold::folds] for fold in range(min(folds, len(drawn)))]
    return [Split(np.sort(np.setdiff1d(drawn, part)), part) for part in held_out]


def forward_splits(count: int, splits: int) -> list[Split]:
    """Returns one or two splits in time order: each trains on all sequences before its held-out part.

    Two splits hold out a quarter each; one holds out the last quarter.
    """
    ends = [count // 2, count - count // 4, count][-splits - 1 :]
    most = _MOST_HELD_OUT // splits
    return [Split(np.arange(a), _thin_out(np.arange(a, b), most)) for a, b in pairwise(ends)]


def _thin_out(indices: np.ndarray, most: int) -> np.ndarray:
    """Returns at most this many of the indices, evenly spaced."""
    return indices if len(indices) <= most else indices[np.arange(most) * len(indices) // most]


def held_out_in(splits: Sequence[Split]) -> np.ndarray:
    """Returns the held-out indices, split after split, (n,)."""
    return np.concatenate([split.held_out for split in splits])
