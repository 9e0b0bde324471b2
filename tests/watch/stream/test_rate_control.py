"""The threshold keeps the rate, whatever the stream does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.watch.stream.rate_control import STEP, RateControl


def flags(scores: np.ndarray, rate: float) -> np.ndarray:
    """Which scores are flagged, one after the other, with 2.0 as the threshold of the calibration."""
    control, found = RateControl(2.0, rate), []
    for score in scores.tolist():
        found.append(control.is_flagged(score))
        control = control.after(flagged=found[-1])
    return np.array(found)


@given(st.lists(st.floats(0, 12), min_size=1, max_size=300), st.sampled_from([0.001, 0.01, 0.1]))
def test_the_bound_holds_for_any_stream(scores: list[float], rate: float) -> None:
    rise = max(0.0, max(scores) - 2.0)
    assert flags(np.array(scores), rate).sum() <= rate * len(scores) + rise / STEP + 1


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_after_a_shift_the_rate_returns(shift: float) -> None:
    rng = np.random.default_rng(0)
    before, after = rng.exponential(0.43, (2, 20_000))  # one in a hundred is above 2
    found = flags(np.concatenate([before, after + shift]), 0.01)
    assert found[:20_000].mean() == pytest.approx(0.01, abs=0.003)
    assert (found[20_000:] * 1.0).mean() < 0.012
    assert found[22_000:].mean() == pytest.approx(0.01, abs=0.003)


def test_extreme_scores_are_flagged_after_a_shift_too() -> None:
    rng = np.random.default_rng(1)
    scores = rng.exponential(0.43, 5_000) + 1.5
    scores[2_000::500] = 20.0
    assert flags(scores, 0.01)[2_000::500].all()


def test_a_quiet_stream_does_not_make_the_detector_more_sensitive() -> None:
    scores = np.full(10_000, 1.0)
    scores[-1] = 1.99
    assert not flags(scores, 0.1).any()
