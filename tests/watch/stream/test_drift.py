"""Drift is reported once and early, and hardly ever without drift."""

import json

import numpy as np
import pytest

from onward.watch.detector import Detector
from onward.watch.stream.drift import BLOCK, Drift


def reports(drift: Drift, p_values: np.ndarray) -> list[int]:
    """Returns the positions at which drift was reported."""
    return [i for i, p in enumerate(p_values) if drift.observe(float(p))]


def conformal(chance: np.random.Generator, count: int, calibrated: int, scale: float = 1.0) -> np.ndarray:
    """Returns p-values of sequences with exponential scores, by one calibration."""
    scores = np.sort(chance.exponential(size=calibrated))
    new = chance.exponential(scale, size=count)
    return (1.0 + calibrated - np.searchsorted(scores, new)) / (calibrated + 1.0)


@pytest.mark.slow
def test_no_drift_is_reported_without_drift() -> None:
    for seed in range(40):
        chance = np.random.default_rng(seed)
        assert reports(Drift(0.01, 300), conformal(chance, 5000, 300)) == []


def test_drift_is_reported_once_and_soon() -> None:
    for seed in range(10):
        chance = np.random.default_rng(seed)
        before, after = conformal(chance, 3000, 1000), conformal(chance, 3000, 1000, scale=3.0)
        drift = Drift(0.01, 1000)
        (place,) = reports(drift, np.concatenate([before, after]))
        assert 3000 < place < 3000 + 20 * BLOCK
        assert "watch ok" in drift.message


def test_partitions_share_the_bound() -> None:
    """A test among a thousand needs more evidence than a single one, and still finds the drift."""
    p_values = conformal(np.random.default_rng(0), 4000, 1000, scale=2.0)
    (alone,), (among,) = (reports(Drift(0.01, 1000, partitions), p_values) for partitions in (1, 1000))
    assert alone < among


def test_a_burst_is_not_drift() -> None:
    chance = np.random.default_rng(0)
    p_values = conformal(chance, 3000, 1000)
    p_values[1000:1080] = 0.001
    assert reports(Drift(0.01, 1000), p_values) == []


def test_the_test_continues_from_its_json(detector: Detector) -> None:
    chance = np.random.default_rng(0)
    p_values = conformal(chance, 2000, 200, scale=3.0)
    whole = reports(Drift.of(detector), p_values)
    drift, places = Drift.of(detector), []
    for i, p_value in enumerate(p_values):
        if drift.observe(float(p_value)):
            places.append(i)
        if i % 77 == 0:
            drift = Drift.of(detector, json.loads(json.dumps(drift.to_json())))
    assert places == whole
    assert len(whole) == 1
