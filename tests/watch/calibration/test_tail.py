import numpy as np
import pytest

from onward.watch.calibration.tail import Tail


def test_scores_rise_with_the_value_and_slowly_beyond_the_largest_one() -> None:
    tail = Tail.of(np.arange(100.0))
    scores = tail.score(np.array([0.0, 50.0, 99.0, 120.0, 1e9]))
    assert (np.diff(scores) > 0).all()
    assert scores[0] == pytest.approx(0.0)
    assert tail.scale == pytest.approx(4.5)  # the mean excess of 90 to 99 over 90
    assert scores[3] == pytest.approx(np.log10(101) + np.log10(1 + 21 / 4.5), abs=1e-4)
    assert scores[4] < np.log10(101) + 9


def test_leave_one_out_scores_are_those_of_a_tail_without_the_value() -> None:
    values = np.random.default_rng(0).poisson(2, 60).astype(float)
    tail = Tail.of(values)
    for own, value, i in zip(tail.score_left_out(values), values, range(60), strict=True):
        others = Tail(np.sort(np.delete(values, i)), tail.scale)
        assert own == pytest.approx(others.score(np.array([value]))[0] + np.log10(61 / 60))


def test_only_the_largest_value_is_beyond_the_others() -> None:
    values = np.array([1.0, 2.0, 9.0])
    scores = Tail.of(values).score_left_out(values)
    assert scores[2] == scores.max()
    assert scores[2] > np.log10(3)


def test_a_single_value_has_a_leave_one_out_score() -> None:
    values = np.array([4.0])
    assert Tail.of(values).score_left_out(values) == pytest.approx(np.log10(2))
