"""Intervals that are known, and figures that follow from flags."""

import numpy as np
import pytest

from onward.watch.calibration.statistics import (
    auc_with_interval,
    beta_quantile,
    binomial_interval,
    calibration_interval,
)
from onward.watch.evaluation.evaluate import evaluate


def test_exact_intervals_are_those_of_the_tables():
    assert binomial_interval(5, 100) == pytest.approx((0.016432, 0.112835), abs=1e-6)
    assert binomial_interval(0, 10) == pytest.approx((0.0, 0.308497), abs=1e-6)
    assert beta_quantile(0.5, 1, 1) == pytest.approx(0.5)
    assert calibration_interval(0.001, 500) == (0.0, 0.0)
    low, high = calibration_interval(0.01, 999)
    drawn = np.random.default_rng(0).beta(10, 990, 200_000)
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1e-4)


def test_the_area_counts_ties_half():
    auc, (low, high) = auc_with_interval(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0]))
    assert auc == pytest.approx((1.5 + 3) / 6)
    assert 0 <= low < auc < high <= 1


def test_figures_follow_from_the_flags(detector):
    right = [["start", "read", "read", "sync", "stop"]] * 3 + [["start", "read", "write", "sync", "stop"]]
    wrong = {"cut": [["start"]] * 2, "odd": [["boom", "boom"]]}
    data = evaluate(detector, right, wrong, normal_in_all=40).to_json()
    assert data["recall"] == 1.0 and data["auc"] == 1.0 and data["false_alarm_rate"] == 0.0
    assert data["classes"]["cut"] == {"caught": 2, "of": 2, "recall": 1.0}
    assert data["scale"] == 10.0
    assert (data["deduplicated"]["normal"], data["deduplicated"]["anomalous"]) == (2, 2)
    assert data["baselines"]["new_event"]["recall"] == pytest.approx(1 / 3)
    assert set(data) >= {"precision", "f1", "threshold", "baselines"}
