"""Who learns and who is held out; what time does to a calibration."""

from itertools import pairwise

import numpy as np
import pytest

from onward.watch.learning import Learning, _folds, _forwards, learn


def test_each_sequence_is_held_once_and_never_learned_from_by_who_scores_it():
    drawn = np.random.default_rng(0).permutation(23)
    splits = _folds(drawn, 5)
    assert sorted(np.concatenate([split.held for split in splits]).tolist()) == list(range(23))
    for split in splits:
        assert sorted([*split.training, *split.held]) == list(range(23))


@pytest.mark.parametrize("count", [10, 11, 401])
def test_forwards_the_later_half_is_scored_by_what_was_before(count: int):
    splits = _forwards(count)
    assert np.concatenate([split.held for split in splits]).tolist() == list(range(count // 2, count))
    for split in splits:
        assert split.training.tolist() == list(range(split.held[0]))
    assert all(first.held[-1] + 1 == second.held[0] for first, second in pairwise(splits))


def released(first: int, count: int) -> list[list[str]]:
    """Sequences in which one event has another name every forty."""
    rng = np.random.default_rng(first)
    return [
        ["open", f"v{i // 40}", *["read"] * int(rng.integers(1, 4)), "close"]
        for i in range(first, first + count)
    ]


def test_what_changes_with_time_is_no_alarm_if_the_calibration_goes_with_it():
    flagged = {}
    for in_order in (True, False):
        detector = learn(released(0, 400), Learning(folds=2, rate=0.05, steps=40, in_order=in_order))
        verdicts = detector.judge(released(400, 40))
        flagged[in_order] = np.mean([verdict.flagged for verdict in verdicts])
    assert flagged[False] > 0.9
    assert flagged[True] < 0.1


def test_what_is_held_out_in_order_is_the_last():
    normal = released(0, 80)
    detector = learn(normal, Learning(held_out=0.5, rate=0.1, steps=5, in_order=True))
    assert set(detector.alphabet.names) == {event for sequence in normal[:40] for event in sequence}
