"""The rate of false alarms holds for any scores."""

import json
from typing import Any, get_args

import numpy as np
import pytest
from tests.watch.calibration.features import draw_features

from onward.watch.calibration.combination import Combination
from onward.watch.calibration.conformal import Calibration, Scheme, calibrate
from onward.watch.scoring.features import FEATURES

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
MANY = len(FEATURES)


def calibration_with(scores: np.ndarray) -> Calibration:
    return Calibration(Combination.of(np.zeros((9, len(FEATURES)))), scores)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_at_most_the_rate_is_flagged_on_average(rate: float, scheme: Scheme) -> None:
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        calibration = calibrate(draw_features(rng, 800), scheme)
        p = calibration.p_values(calibration.combination.score(draw_features(rng, 2000)))
        shares.append((p <= rate).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= rate + 3 * error + (0 if scheme == "split" else 0.1 * rate)
    assert np.mean(shares) > 0.5 * rate


def test_differences_of_float32_rounding_do_not_change_the_p_value() -> None:
    rng = np.random.default_rng(0)
    normal = np.repeat(draw_features(rng, 40), 20, axis=0)
    calibration = calibrate(rng.permutation(normal), "others")
    exact = calibration.p_values(calibration.combination.score(normal))
    for difference in (-1e-6, 1e-6):
        nudged = calibration.p_values(calibration.combination.score(normal + difference))
        assert (nudged == exact).all()


@pytest.mark.parametrize(("scheme", "count"), [("others", 499), ("halves", 499), ("split", 998)])
def test_the_smallest_possible_rate_holds(scheme: Scheme, count: int) -> None:
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        calibration = calibrate(rng.normal(size=(count, MANY)), scheme)
        p = calibration.p_values(calibration.combination.score(rng.normal(size=(5000, MANY))))
        shares.append((p <= 0.002).mean())
    assert 0.0005 < np.mean(shares) <= 0.002 + 3 * np.std(shares) / np.sqrt(len(shares))


def test_a_rate_of_one_in_a_thousand_holds_with_leave_one_out_scores() -> None:
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        calibration = calibrate(draw_features(rng, 3000), "others")
        p = calibration.p_values(calibration.combination.score(draw_features(rng, 5000)))
        shares.append((p <= 0.001).mean())
    assert 0.0005 < np.mean(shares) <= 0.001 + 3 * np.std(shares) / np.sqrt(len(shares))


def test_with_too_few_sequences_nothing_is_flagged() -> None:
    calibration = calibration_with(np.arange(9.0))
    assert calibration.smallest_rate == 0.1
    assert calibration.threshold(0.09) == np.inf
    assert calibration.threshold(0.1) == pytest.approx(8.0, abs=1e-4)
    assert calibration.p_values(np.array([100.0, 8.0, 7.5, -1.0])).tolist() == [0.1, 0.2, 0.2, 1.0]


def test_the_threshold_and_the_p_value_agree() -> None:
    rng = np.random.default_rng(3)
    calibration = calibration_with(np.sort(rng.integers(0, 30, 199) / 2))
    scores = rng.integers(0, 40, 500) / 2
    for rate in (0.005, 0.03, 0.2):
        flagged = calibration.p_values(scores) <= rate
        assert (flagged == (scores > calibration.threshold(rate))).all()


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(draw_features(np.random.default_rng(1), 50), "others")


def test_json_restores_the_calibration(calibration: Calibration) -> None:
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    new = draw_features(np.random.default_rng(2), 50)
    assert (again.combination.score(new) == calibration.combination.score(new)).all()
    assert (again.scores == calibration.scores).all()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"scores": [0.5, float("nan")]}, "scores"),
        ({"scores": [0.5, float("inf")]}, "scores"),
        ({"scores": [2.0, 1.0]}, "scores"),
        ({"scores": []}, "scores"),
        ({"scores": ["1"]}, "scores"),
        ({"scores": [[1.0], [2.0]]}, "scores"),
        ({"tails": []}, "tails"),
        ({"tails": [{"values": [1.0], "scale": 0.0}] * MANY}, "scale"),
        ({"tails": [{"values": [1.0], "scale": float("nan")}] * MANY}, "scale"),
        ({"tails": [{"values": [float("nan")], "scale": 1.0}] * MANY}, "values"),
        ({"tails": [{"values": [1.0], "scale": 1.0, "more": 1}] * MANY}, "more"),
        ({"more": 1}, "more"),
    ],
)
def test_a_calibration_with_wrong_numbers_is_refused(
    change: dict[str, Any], where: str, calibration: Calibration
) -> None:
    with pytest.raises(ValueError, match=where):
        Calibration.from_json(calibration.to_json() | change)
