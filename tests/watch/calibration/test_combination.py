import numpy as np
import pytest
from tests.watch.calibration.features import draw_features, place_of

from onward.watch.calibration.combination import Combination
from onward.watch.scoring.features import FEATURES, Feature

LARGEST, MEAN, TOTAL, BURST, COUNTS, NEW, UNSEEN, TABLE = range(len(FEATURES))
WITHOUT_RECURRING_COUNTS: tuple[Feature, ...] = ("largest", "mean", "burst", "counts", "unseen", "table")


def test_order_and_counts_add_up_if_counts_recur_and_wrong_order_alone_scores_high() -> None:
    normal = draw_features(np.random.default_rng(0), 500)
    combination = Combination.of(normal)
    assert combination.recurring > 0.95
    order, counts, both = (normal[:1].copy() for _ in range(3))
    order[0, LARGEST], counts[0, COUNTS], both[0, [LARGEST, COUNTS]] = 1e3, 9, (1e3, 9)
    by_order, by_counts, by_both = (combination.score(features)[0] for features in (order, counts, both))
    assert by_both > max(by_order, by_counts)
    a_little_of_all = np.quantile(normal, 0.99, axis=0)[None]
    scores = combination.score(normal)
    assert combination.score(a_little_of_all)[0] > np.quantile(scores, 0.98)
    assert by_order > np.quantile(scores, 0.985)


def test_six_features_count_equally_if_counts_do_not_recur() -> None:
    normal = np.random.default_rng(0).exponential(size=(500, 8))
    combination = Combination.of(normal)
    assert combination.recurring == 0
    unusual = np.repeat(np.median(normal, axis=0, keepdims=True), 6, axis=0)
    unusual[np.arange(6), [place_of(name) for name in WITHOUT_RECURRING_COUNTS]] = 1e9
    scores = combination.score(unusual)
    assert scores.tolist() == pytest.approx([scores[-1]] * 6, rel=0.1)
    assert min(scores) > np.quantile(combination.score(normal), 0.99)
    assert combination.score(np.full((1, 8), 1e9))[0] > max(scores) + 1


@pytest.mark.parametrize("counts", [0.02, 50.0])
def test_some_features_give_a_lower_bound_of_the_score(counts: float) -> None:
    rng = np.random.default_rng(0)
    normal = draw_features(rng, 300)
    normal[:, COUNTS] = rng.poisson(counts, 300)
    combination = Combination.of(normal)
    tail_scores, scores = combination.tail_scores(normal), combination.score(normal)
    for known in ([LARGEST], [LARGEST, BURST, NEW]):
        assert (combination.lower_bound(tail_scores[:, known], known) <= scores + 1e-6).all()
    order = [LARGEST, MEAN, TOTAL, BURST, NEW]
    assert np.median(combination.lower_bound(tail_scores[:, order], order) / scores) > 0.6


def test_a_model_that_needs_more_bits_than_the_n_gram_has_a_lower_weight() -> None:
    normal = np.random.default_rng(0).exponential(size=(500, 8))
    normal[:, TABLE] /= 4
    combination = Combination.of(normal)
    assert combination.largest_plus_mean.trust == pytest.approx(0.25, abs=0.03)
    by_model, by_table = (np.median(normal, axis=0, keepdims=True) for _ in range(2))
    by_model[0, MEAN], by_table[0, TABLE] = 1e9, 1e9
    assert combination.score(by_table)[0] > combination.score(by_model)[0] + 1


def test_the_main_feature_is_one_that_is_part_of_the_score() -> None:
    rng = np.random.default_rng(0)
    recurring, distinct = draw_features(rng, 500), draw_features(rng, 500)
    recurring[:, COUNTS], distinct[:, COUNTS] = 0.0, 1.0 + rng.random(500)
    recurring[:, UNSEEN] = distinct[:, TOTAL] = rng.random(500)
    for normal, unused, used in ((recurring, UNSEEN, NEW), (distinct, TOTAL, TABLE)):
        combination = Combination.of(normal)
        unusual = np.median(normal, axis=0)
        unusual[unused] = 1e6
        unusual[used] = np.sort(normal[:, used])[-3]
        tail_scores = combination.tail_scores(unusual[None])
        assert tail_scores.argmax() == unused
        assert combination.main_features(tail_scores).tolist() == [used]


def test_a_feature_of_the_model_is_the_main_one_less_often_if_its_weight_is_low() -> None:
    rng = np.random.default_rng(0)
    normal = draw_features(rng, 500) ** 2
    normal[:, COUNTS], normal[:, TABLE] = 1.0 + rng.random(500), normal[:, MEAN] / 4
    combination = Combination.of(normal)
    assert combination.largest_plus_mean.trust < 0.3
    tail_scores = np.zeros((2, len(FEATURES)))
    tail_scores[:, MEAN], tail_scores[:, UNSEEN] = 2.0, (0.4, 1.0)
    assert combination.main_features(tail_scores).tolist() == [MEAN, UNSEEN]


def test_the_main_feature_of_an_open_sequence_is_part_of_the_score_too() -> None:
    rng = np.random.default_rng(0)
    normal = draw_features(rng, 500)
    normal[:, COUNTS] = 1.0 + rng.random(500)
    known = [LARGEST, BURST, NEW]
    found = Combination.of(normal).main_features(np.array([[0.5, 1.0, 2.0]]), known)
    assert found.tolist() == [BURST]
