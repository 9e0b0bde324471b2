from itertools import pairwise

import numpy as np
import pytest

from onward.watch.calibration.splits import forward_splits, held_out_in, plan_splits, random_folds

MOST = 100_000
"""The documented largest number of calibration sequences."""


def test_each_sequence_is_held_out_once_and_not_in_the_training_set_of_its_fold() -> None:
    drawn = np.random.default_rng(0).permutation(23)
    folds = random_folds(drawn, 5)
    assert sorted(held_out_in(folds).tolist()) == list(range(23))
    for fold in folds:
        assert sorted([*fold.training, *fold.held_out]) == list(range(23))


def test_lookup_folds_are_parts_of_the_folds_of_the_model() -> None:
    plan = plan_splits(103, 500, folds=5, held_out=None, in_order=False, seed=0)
    assert (len(plan.folds), len(plan.lookup_folds)) == (5, 20)
    for part in plan.lookup_folds:
        assert any(set(part.held_out) <= set(fold.held_out) for fold in plan.folds)


@pytest.mark.parametrize(("events", "lookup_folds"), [(1_000_000, 20), (1_000_001, 0)])
def test_with_many_events_lookups_use_the_folds_of_the_model(events: int, lookup_folds: int) -> None:
    plan = plan_splits(103, events, folds=5, held_out=None, in_order=False, seed=0)
    assert len(plan.lookup_folds) == lookup_folds


@pytest.mark.parametrize("count", [10, 11, 401])
def test_forward_splits_hold_out_the_later_half_and_train_on_everything_before(count: int) -> None:
    splits = forward_splits(count, 2)
    assert held_out_in(splits).tolist() == list(range(count // 2, count))
    for split in splits:
        assert split.training.tolist() == list(range(split.held_out[0]))
    assert all(first.held_out[-1] + 1 == second.held_out[0] for first, second in pairwise(splits))


def test_with_one_model_besides_the_detectors_own_the_last_quarter_is_held_out() -> None:
    (split,) = forward_splits(40, 1)
    assert (split.training.tolist(), split.held_out.tolist()) == ([*range(30)], [*range(30, 40)])


def test_without_folds_a_fifth_calibrates() -> None:
    plan = plan_splits(400, 10**6, folds=1, held_out=None, in_order=False, seed=0)
    assert sorted([*plan.training, *plan.held_out]) == list(range(400))
    assert (len(plan.held_out), plan.folds, plan.scheme) == (80, [], "others")


@pytest.mark.parametrize("held_out", [None, 0.9])
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("count", [400, 150_000, 250_000])
@pytest.mark.slow
def test_at_most_100_000_sequences_are_held_out(count: int, in_order: bool, held_out: float | None) -> None:
    plan = plan_splits(count, count, folds=5, held_out=held_out, in_order=in_order, seed=0)
    found = held_out_in(plan.folds) if plan.folds else plan.held_out
    possible = count * 9 // 10 if held_out else count - in_order * (count // 2)
    assert len(np.unique(found)) == len(found) == min(MOST, possible)
    if plan.lookup_folds:
        assert np.array_equal(np.sort(held_out_in(plan.lookup_folds)), np.sort(found))
    for split in [*plan.folds, *plan.lookup_folds]:
        assert not len(np.intersect1d(split.training, split.held_out))
        assert not in_order or split.training.max() < split.held_out.min()


def test_a_held_out_share_is_not_in_the_training_set() -> None:
    for in_order in (False, True):
        plan = plan_splits(400, 400, folds=5, held_out=0.25, in_order=in_order, seed=0)
        assert sorted([*plan.training, *plan.held_out]) == list(range(400))
        assert len(plan.held_out) == 100
        assert not in_order or plan.held_out.min() == 300
