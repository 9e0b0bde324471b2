"""P-values hold whatever the scores are."""

from typing import get_args

import numpy as np
import pytest

from onward.watch.calibration import conformal
from onward.watch.calibration.conformal import _ALIKE, Calibration, Combination, Scheme, Tail, calibrate
from onward.watch.scoring.features import FEATURES

NAMES = {name: place for place, name in enumerate(FEATURES)}
COUNTS = NAMES["counts"]


def features(rng: np.random.Generator, count: int) -> np.ndarray:
    """Eight correlated features, some discrete with many ties, some with heavy tails."""
    base = rng.standard_t(2, count)
    columns = [base, base + rng.normal(size=count), rng.exponential(size=count), base**2]
    return np.stack(
        [*columns, rng.poisson(0.02, count), rng.poisson(0.05, count), base, base], axis=1
    ).astype(float)


@pytest.mark.parametrize("scheme", get_args(Scheme))
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_at_most_the_rate_is_flagged_on_average(rate, scheme):
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        calibration = calibrate(features(rng, 800), 1.0, scheme)
        p = calibration.p_values(calibration.combination.score(features(rng, 2000)))
        shares.append((p <= rate).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= rate + 3 * error + (0 if scheme == "split" else 0.1 * rate)
    assert np.mean(shares) > 0.5 * rate  # and it is not by flagging nothing


def test_what_differs_as_float32_does_is_a_tie():
    rng = np.random.default_rng(0)
    normal = np.repeat(features(rng, 40), 20, axis=0)
    calibration = calibrate(rng.permutation(normal), 1.0, "others")
    exact = calibration.p_values(calibration.combination.score(normal))
    for nudge in (-1e-6, 1e-6):
        assert (calibration.p_values(calibration.combination.score(normal + nudge)) == exact).all()


@pytest.mark.parametrize(("scheme", "count"), [("others", 499), ("halves", 499), ("split", 998)])
def test_the_smallest_rate_that_there_is_is_kept_too(scheme, count):
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        calibration = calibrate(rng.normal(size=(count, 8)), 1.0, scheme)
        p = calibration.p_values(calibration.combination.score(rng.normal(size=(5000, 8))))
        shares.append((p <= 0.002).mean())
    assert 0.0005 < np.mean(shares) <= 0.002 + 3 * np.std(shares) / np.sqrt(len(shares))


def test_a_rate_of_one_in_a_thousand_is_kept_where_each_is_scored_among_the_others():
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        calibration = calibrate(features(rng, 3000), 1.0, "others")
        p = calibration.p_values(calibration.combination.score(features(rng, 5000)))
        shares.append((p <= 0.001).mean())
    assert 0.0005 < np.mean(shares) <= 0.001 + 3 * np.std(shares) / np.sqrt(len(shares))


def test_too_few_sequences_flag_nothing():
    calibration = Calibration(Combination.of(np.zeros((9, 8))), np.arange(9.0), 1.0)
    assert calibration.smallest_rate == 0.1
    assert calibration.threshold(0.09) == np.inf
    assert calibration.threshold(0.1) == pytest.approx(8.0, abs=1e-4)
    assert calibration.p_values(np.array([100.0, 8.0, 7.5, -1.0])).tolist() == [0.1, 0.2, 0.2, 1.0]


def test_the_threshold_and_the_p_value_agree():
    rng = np.random.default_rng(3)
    calibration = Calibration(Combination.of(np.zeros((9, 8))), np.sort(rng.integers(0, 30, 199) / 2), 1.0)
    scores = rng.integers(0, 40, 500) / 2
    for rate in (0.005, 0.03, 0.2):
        flagged = calibration.p_values(scores) <= rate
        assert (flagged == (scores > calibration.threshold(rate))).all()


def test_tail_scores_rise_and_hardly_beyond_the_last_value():
    tail = Tail.of(np.arange(100.0))
    scores = tail.score(np.array([0.0, 50.0, 99.0, 120.0, 1e9]))
    assert (np.diff(scores) > 0).all()
    assert scores[0] == pytest.approx(0.0)
    assert scores[-1] < np.log10(101) + 0.1001


def test_a_value_of_the_tail_is_scored_among_the_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conformal, "_BEYOND", 0.0)  # it is divided by the deviation of all
    values = np.random.default_rng(0).poisson(2, 60).astype(float)
    for own, value, i in zip(Tail.of(values).score_own(values), values, range(60), strict=True):
        among_others = Tail.of(np.delete(values, i)).score(np.array([value]))[0]
        assert own == pytest.approx(among_others + np.log10(61 / 60))


def test_the_strangest_of_a_tail_is_beyond_the_others_alone():
    found = Tail.of(np.array([1.0, 2.0, 9.0])).score_own(np.array([1.0, 2.0, 9.0]))
    assert found[2] == found.max()
    assert found[2] > np.log10(3)
    assert Tail.of(np.array([4.0])).score_own(np.array([4.0])) == pytest.approx(np.log10(2))


def test_who_calibrates_scores_as_high_as_who_comes_later():
    """Scored by the combination of a half, they were lower at the top by a third of a power of ten."""
    differences = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        calibration = calibrate(features(rng, 400), 1.0, "others")
        later = calibration.combination.score(features(rng, 400))
        differences.append(np.sort(later)[-20:].mean() - calibration.scores[-20:].mean())
    assert abs(np.mean(differences)) < 0.05


def test_order_and_counts_add_up_where_counts_recur_and_order_alone_is_seen_too():
    rng = np.random.default_rng(0)
    normal = features(rng, 500)
    combination = Combination.of(normal)
    assert combination.recurring > 0.95
    order, counts, both = (normal[:1].copy() for _ in range(3))
    order[0, 0], counts[0, 4], both[0, [0, 4]] = 1e3, 9, (1e3, 9)
    a, b, c = (combination.score(x)[0] for x in (order, counts, both))
    assert c > max(a, b)
    little = normal[:1].copy()
    little[0] = np.quantile(normal, 0.99, axis=0)  # a bit of everything
    assert combination.score(little)[0] > np.quantile(combination.score(normal), 0.98)
    assert a > np.quantile(combination.score(normal), 0.985)


def test_where_no_counts_recur_they_are_one_feature_of_six():
    normal = np.random.default_rng(0).exponential(size=(500, 8))
    combination = Combination.of(normal)
    assert combination.recurring == 0
    usual = np.median(normal, axis=0, keepdims=True)
    alone = [usual.copy() for _ in _ALIKE]
    for feature, strange in zip(_ALIKE, alone, strict=True):
        strange[0, feature] = 1e9
    scores = [combination.score(strange)[0] for strange in alone]
    assert scores == pytest.approx([scores[-1]] * 6, rel=0.1)
    assert min(scores) > np.quantile(combination.score(normal), 0.99)
    assert combination.score(np.full((1, 8), 1e9))[0] > max(scores) + 1


@pytest.mark.parametrize("counts", [0.02, 50.0])
def test_some_features_of_order_give_what_the_score_is_not_below(counts):
    rng = np.random.default_rng(0)
    normal = features(rng, 300)
    normal[:, 4] = rng.poisson(counts, 300)
    combination = Combination.of(normal)
    parts, scores = combination.parts(normal), combination.score(normal)
    for known in ([0], [0, 3, 5]):
        assert (combination.least(parts[:, known], known) <= scores + 1e-6).all()
    order = [0, 1, 2, 3, 5]
    assert np.median(combination.least(parts[:, order], order) / scores) > 0.6  # and it says much


def test_plain_values_hold_all_of_it():
    calibration = calibrate(features(np.random.default_rng(1), 50), 2.0, "others")
    again = Calibration.from_json(calibration.to_json())
    asked = features(np.random.default_rng(2), 50)
    assert (again.combination.score(asked) == calibration.combination.score(asked)).all()
    assert (again.scores == calibration.scores).all()


def test_a_model_counts_for_less_than_a_table_that_needs_fewer_bits():
    normal = np.random.default_rng(0).exponential(size=(500, 8))
    normal[:, 7] /= 4
    combination = Combination.of(normal)
    assert combination.trust == pytest.approx(0.25, abs=0.03)
    by_model, by_table = (np.median(normal, axis=0, keepdims=True) for _ in range(2))
    by_model[0, 1], by_table[0, 7] = 1e9, 1e9
    assert combination.score(by_table)[0] > combination.score(by_model)[0] + 1


def test_only_what_is_part_of_the_score_speaks():
    rng = np.random.default_rng(0)
    recur, differ = features(rng, 500), features(rng, 500)
    recur[:, COUNTS], differ[:, COUNTS] = 0.0, 1.0 + rng.random(500)
    recur[:, NAMES["unseen"]] = differ[:, NAMES["total"]] = rng.random(500)
    for normal, silent, other in ((recur, "unseen", "new"), (differ, "total", "table")):
        combination = Combination.of(normal)
        strange = np.median(normal, axis=0)
        strange[NAMES[silent]] = 1e6
        strange[NAMES[other]] = np.sort(normal[:, NAMES[other]])[-3]
        parts = combination.parts(strange[None])
        assert FEATURES[parts.argmax()] == silent
        assert FEATURES[combination.speaks(parts)[0]] == other


def test_what_the_model_says_speaks_for_less_where_it_counts_for_less():
    rng = np.random.default_rng(0)
    normal = features(rng, 500) ** 2
    normal[:, COUNTS], normal[:, NAMES["table"]] = 1.0 + rng.random(500), normal[:, NAMES["mean"]] / 4
    combination = Combination.of(normal)
    assert combination.trust < 0.3
    parts = np.zeros((2, len(FEATURES)))
    parts[:, NAMES["mean"]], parts[:, NAMES["unseen"]] = 2.0, (0.4, 1.0)
    assert [FEATURES[i] for i in combination.speaks(parts)] == ["mean", "unseen"]


def test_of_the_features_that_are_known_before_the_end_too_only_those_of_the_score_speak():
    rng = np.random.default_rng(0)
    normal = features(rng, 500)
    normal[:, COUNTS] = 1.0 + rng.random(500)
    known = [NAMES[name] for name in ("largest", "burst", "new")]
    (place,) = Combination.of(normal).speaks(np.array([[0.5, 1.0, 2.0]]), known)
    assert FEATURES[place] == "burst"
