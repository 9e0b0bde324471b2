"""Splits: which sequences are scored for the calibration, and by what was learned from which others."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Sequences that are scored, and those that the model which scores them learns from, as indices."""

    training: np.ndarray
    held: np.ndarray


def folds_of(drawn: np.ndarray, folds: int) -> list[Split]:
    """Each sequence is held once; of a multiple of so many folds each is a part of one of these."""
    held = [drawn[fold::folds] for fold in range(min(folds, len(drawn)))]
    return [Split(np.sort(np.setdiff1d(drawn, part)), part) for part in held]


def forwards(count: int) -> list[Split]:
    """The later half is held, a quarter at a time, with all that was before it to learn from."""
    ends = [count // 2, count - count // 4, count]
    return [Split(np.arange(a), np.arange(a, b)) for a, b in pairwise(ends)]


def held_in(splits: Sequence[Split]) -> np.ndarray:
    """The sequences that are held, split after split, (n,)."""
    return np.concatenate([split.held for split in splits])
