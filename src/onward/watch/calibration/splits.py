"""Splits: which sequences are scored for the calibration, and by what was learned from which others."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from onward.data.hashing import mixed
from onward.watch.calibration.conformal import Scheme

_LOOKUP_FOLDS, _MOST_LOOKED_UP = 20, 1_000_000
"""Folds for lookups and the n-gram, of so many events at most; of more they have those of the model."""


_MOST_HELD = 100_000
"""Sequences that calibrate, at most: enough for a rate of 0.01 %, and few enough for the header of a file."""


class Split(NamedTuple):
    """Sequences that are scored, and those that the model which scores them learns from, as indices."""

    training: np.ndarray
    held: np.ndarray


class Deal(NamedTuple):
    """What each sequence is for.

    Attributes:
        kept: those that the detector's own model learns from, in their order.
        held: those that calibrate and that it does not learn from; none where there are splits.
        splits: of all sequences, for the calibration.
        finer: the same for lookups and the n-gram; none where theirs are those of the model.
        scheme: of the calibration (see `calibrate`).
    """

    kept: np.ndarray
    held: np.ndarray
    splits: list[Split]
    finer: list[Split]
    scheme: Scheme


def deal(count: int, events: int, *, folds: int, held_out: float | None, in_order: bool, seed: int) -> Deal:
    """So many sequences, of so many events in all, as `Learning` says."""
    drawn = np.argsort(mixed(np.arange(count), seed, 1), kind="stable")
    if held_out is not None:
        cut = min(count - 2, max(4, round(count * held_out)))
        held = np.arange(count - cut, count) if in_order else drawn[:cut]
        return Deal(np.setdiff1d(drawn, held), _spread(held, _MOST_HELD), [], [], "split")
    if in_order:
        return Deal(np.arange(count), np.arange(0), forwards(count), [], "halves")
    is_finer = folds < _LOOKUP_FOLDS and events <= _MOST_LOOKED_UP
    finer = folds_of(drawn, _LOOKUP_FOLDS) if is_finer else []
    return Deal(np.arange(count), np.arange(0), folds_of(drawn, folds), finer, "others")


def folds_of(drawn: np.ndarray, folds: int) -> list[Split]:
    """Each sequence is held once; of a multiple of so many folds each is a part of one of these.

    Of more than `_MOST_HELD` sequences those drawn first are held.
    """
    held = [drawn[:_MOST_HELD][fold::folds] for fold in range(min(folds, len(drawn)))]
    return [Split(np.sort(np.setdiff1d(drawn, part)), part) for part in held]


def forwards(count: int) -> list[Split]:
    """The later half is held, a quarter at a time, with all that was before it to learn from."""
    ends = [count // 2, count - count // 4, count]
    return [Split(np.arange(a), _spread(np.arange(a, b), _MOST_HELD // 2)) for a, b in pairwise(ends)]


def _spread(places: np.ndarray, most: int) -> np.ndarray:
    """So many of the places at most, evenly spaced."""
    return places if len(places) <= most else places[np.arange(most) * len(places) // most]


def held_in(splits: Sequence[Split]) -> np.ndarray:
    """The sequences that are held, split after split, (n,)."""
    return np.concatenate([split.held for split in splits])
