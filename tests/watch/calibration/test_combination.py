import numpy as np
import pytest
from tests.watch.calibration.features import draw_features

from onward.watch.calibration.combination import Combination
from onward.watch.scoring.features import FEATURES

MANY = len(FEATURES)


def test_every_feature_counts_equally() -> None:
    normal = np.random.default_rng(0).exponential(size=(500, MANY))
    combination = Combination.of(normal)
    unusual = np.repeat(np.median(normal, axis=0, keepdims=True), MANY, axis=0)
    np.fill_diagonal(unusual, normal.max(axis=0))
    scores = combination.score(unusual)
    assert scores.tolist() == pytest.approx([scores[0]] * MANY, rel=0.1)
    assert min(scores) > np.median(combination.score(normal)) + 1


def test_counts_have_up_to_twice_the_weight_if_they_recur() -> None:
    normal = np.random.default_rng(0).exponential(size=(500, MANY))
    counts, unusual = FEATURES.index("counts"), np.median(normal, axis=0)[None].repeat(2, axis=0)
    unusual[1, counts] = normal[:, counts].max()
    gains = []
    for share in (0.0, 0.5, 1.0):
        recurring = normal.copy()
        recurring[: int(500 * share), counts] = 0.0
        combination = Combination.of(recurring)
        tail_scores = combination.tail_scores(unusual)[:, counts]
        scores = combination.score(unusual)
        gains.append((scores[1] - scores[0]) / (tail_scores[1] - tail_scores[0]))
    assert gains == pytest.approx([1.0, 1.5, 2.0])


def test_a_little_of_everything_is_as_unusual_as_one_extreme_value() -> None:
    normal = draw_features(np.random.default_rng(0), 500)
    combination = Combination.of(normal)
    a_little, extreme = np.quantile(normal, 0.9, axis=0)[None], np.median(normal, axis=0)[None]
    extreme[0, 0] = 1e6
    assert combination.score(a_little)[0] > np.quantile(combination.score(normal), 0.9)
    assert combination.score(extreme)[0] > np.quantile(combination.score(normal), 0.9)


def test_the_score_grows_with_each_feature_beyond_all_normal_values() -> None:
    normal = draw_features(np.random.default_rng(0), 100)
    combination = Combination.of(normal)
    for place in range(MANY):
        rising = np.repeat(np.median(normal, axis=0, keepdims=True), 6, axis=0)
        rising[:, place] = normal[:, place].max() + np.array([0, 1, 5, 50, 500, 1e6])
        assert (np.diff(combination.score(rising)) > 0).all()


def test_the_main_feature_is_the_most_unusual_one() -> None:
    normal = draw_features(np.random.default_rng(0), 300)
    combination = Combination.of(normal)
    unusual = np.repeat(np.median(normal, axis=0, keepdims=True), MANY, axis=0)
    np.fill_diagonal(unusual, 1e6)
    tail_scores = combination.tail_scores(unusual)
    assert combination.main_features(tail_scores).tolist() == list(range(MANY))
