"""Who is held out, and who learns."""

from itertools import pairwise

import numpy as np
import pytest

from onward.watch.calibration import splits
from onward.watch.calibration.splits import deal, folds_of, forwards, held_in


def test_each_sequence_is_held_once_and_never_learned_from_by_who_scores_it():
    drawn = np.random.default_rng(0).permutation(23)
    splits = folds_of(drawn, 5)
    assert sorted(held_in(splits).tolist()) == list(range(23))
    for split in splits:
        assert sorted([*split.training, *split.held]) == list(range(23))


def test_finer_folds_lie_within_those_that_they_are_a_multiple_of():
    drawn = np.random.default_rng(0).permutation(103)
    folds, finer = folds_of(drawn, 5), folds_of(drawn, 20)
    assert all(any(set(fine.held) <= set(fold.held) for fold in folds) for fine in finer)


@pytest.mark.parametrize("count", [10, 11, 401])
def test_forwards_the_later_half_is_scored_by_what_was_before(count: int):
    splits = forwards(count)
    assert held_in(splits).tolist() == list(range(count // 2, count))
    for split in splits:
        assert split.training.tolist() == list(range(split.held[0]))
    assert all(first.held[-1] + 1 == second.held[0] for first, second in pairwise(splits))


@pytest.mark.parametrize("held_out", [None, 0.9])
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("count", [30, 31, 400])
def test_of_many_sequences_some_calibrate(
    count: int, in_order: bool, held_out: float | None, monkeypatch: pytest.MonkeyPatch
):
    many = deal(count, count, folds=5, held_out=held_out, in_order=in_order, seed=0)
    monkeypatch.setattr(splits, "_MOST_HELD", 30)
    some = deal(count, count, folds=5, held_out=held_out, in_order=in_order, seed=0)
    every = held_in(many.splits) if many.splits else many.held
    held = held_in(some.splits) if some.splits else some.held
    assert len(held) == len(set(held.tolist())) == min(30, len(every))
    assert set(held.tolist()) <= set(every.tolist())
    assert some.kept.tolist() == many.kept.tolist()
    assert not some.finer or sorted(held_in(some.finer)) == sorted(held)
    for split in [*some.splits, *some.finer]:
        assert not set(split.training.tolist()) & set(split.held.tolist())
        assert not in_order or split.training.max() < split.held.min()
