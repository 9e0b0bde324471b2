import numpy as np
import pytest

from onward.watch.calibration.statistics import (
    auc_with_interval,
    beta_quantile,
    binomial_interval,
    calibration_interval,
)


def test_exact_intervals_agree_with_published_tables() -> None:
    assert binomial_interval(5, 100) == pytest.approx((0.016432, 0.112835), abs=1e-6)
    assert binomial_interval(0, 10) == pytest.approx((0.0, 0.308497), abs=1e-6)
    assert binomial_interval(10, 10) == pytest.approx((1 - 0.308497, 1.0), abs=1e-6)
    assert beta_quantile(0.5, 1, 1) == pytest.approx(0.5)


def test_the_rate_interval_is_that_of_the_beta_distribution() -> None:
    drawn = np.random.default_rng(0).beta(10, 990, 200_000)
    expected = np.quantile(drawn, [0.025, 0.975]).tolist()
    assert calibration_interval(0.01, 999) == pytest.approx(expected, abs=1e-4)


def test_the_rate_interval_is_zero_if_nothing_can_be_flagged() -> None:
    assert calibration_interval(0.001, 500) == (0.0, 0.0)


def test_the_area_under_the_curve_counts_ties_half() -> None:
    auc, (low, high) = auc_with_interval(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0]))
    assert auc == pytest.approx((1.5 + 3) / 6)
    assert 0 <= low < auc < high <= 1


def test_the_interval_of_the_area_covers_the_true_area_at_its_level() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        _, (low, high) = auc_with_interval(rng.normal(size=60), rng.normal(1.0, 1.0, 60))
        covered += low <= 0.760250 <= high  # the normal distribution at 1 / sqrt(2)
    assert 0.92 < covered / 400 < 0.98
