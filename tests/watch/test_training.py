"""What is held out, and what time does to a calibration."""

import numpy as np
import pytest

from onward.watch.calibration import splits
from onward.watch.calibration.conformal import Tail
from onward.watch.calibration.statistics import calibration_interval
from onward.watch.scoring.features import FEATURES
from onward.watch.training import FOLDS, LearnSettings, learn_detector


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
        detector = learn_detector(
            released(0, 400), LearnSettings(folds=2, rate=0.05, steps=40, in_order=in_order)
        )
        verdicts = detector.judge(released(400, 40))
        flagged[in_order] = np.mean([verdict.flagged for verdict in verdicts])
    assert flagged[False] > 0.9
    assert flagged[True] < 0.1


def test_what_is_held_out_in_order_is_the_last():
    normal = released(0, 80)
    detector = learn_detector(normal, LearnSettings(held_out=0.5, rate=0.1, steps=5, in_order=True))
    assert set(detector.alphabet.names) == {event for sequence in normal[:40] for event in sequence}


def twins(count: int) -> list[list[str]]:
    """Sequences of which two each have an event of their own; where it stands nothing else ever does."""
    return [["open", f"v{i // 2}", "read", "close"] for i in range(count)]


def unseen(sequences: list[list[str]]) -> Tail:
    detector = learn_detector(sequences, LearnSettings(steps=1))
    return detector.calibration.combination.tails[FEATURES.index("unseen")]


def test_what_two_sequences_share_is_seldom_new_to_lookups(monkeypatch: pytest.MonkeyPatch):
    finer = unseen(twins(200))
    monkeypatch.setattr(splits, "_LOOKUP_FOLDS", FOLDS)
    coarse = unseen(twins(200))
    assert len(finer.values) == len(coarse.values) == 200
    # of two in one fold, as one in five or in twenty is, neither knows the other
    assert 0.1 < (coarse.values > 0).mean() < 0.35
    assert (finer.values > 0).mean() < 0.1


def test_of_many_events_lookups_have_the_folds_of_the_model(monkeypatch: pytest.MonkeyPatch):
    few = unseen(twins(100))
    monkeypatch.setattr(splits, "_MOST_LOOKED_UP", 399)
    many = unseen(twins(100))
    assert (many.values > 0).sum() > (few.values > 0).sum()


KINDS = {
    "open read close": 30,
    "open write close": 20,
    "open read read close": 15,
    "open read write close": 10,
    "open write write close": 6,
    "open stat close": 5,
    "open read read read close": 4,
    "open seek read close": 3,
    "open seek write close": 3,
    "open lock write unlock close": 2,
    "open read stat close": 1.5,
    "open write fsync close": 0.5,
}
"""Sequences, and how often each occurs; there are no others."""


@pytest.mark.parametrize("in_order", [True, False])
def test_where_few_kinds_recur_none_that_is_frequent_is_flagged(in_order):
    shares = np.array(list(KINDS.values())) / sum(KINDS.values())
    for seed in range(3):
        drawn = np.random.default_rng(seed).choice(len(KINDS), 800, p=shares)
        normal = [list(KINDS)[kind].split() for kind in drawn]
        detector = learn_detector(normal, LearnSettings(in_order=in_order, seed=seed, steps=60))
        p = np.array([v.p_value for v in detector.judge([kind.split() for kind in KINDS])])
        for rate in (0.01, 0.02, 0.05, 0.1, 0.2):
            assert shares[p <= rate].sum() <= calibration_interval(rate, len(detector.calibration.scores))[1]


def lines(first: int, count: int, seed: int) -> list[list[str]]:
    """Lines of which one in five is of a kind that has not been for long."""
    rng = np.random.default_rng((first, seed))
    return [
        [f"common{rng.integers(6)}"] if rng.random() < 0.8 else [f"new{i // 8}"]
        for i in range(first, first + count)
    ]


def test_the_rate_holds_where_most_kinds_are_rare():
    flagged = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        kinds = [[f"kind{kind}"] for kind in rng.zipf(1.6, 2400).tolist()]
        detector = learn_detector(kinds[:400], LearnSettings(rate=0.01, seed=seed, steps=60))
        flagged.append(np.mean([verdict.flagged for verdict in detector.judge(kinds[400:], explain=False)]))
    assert np.mean(flagged) < 0.015


def test_what_is_new_each_time_is_as_frequent_as_it_was_when_it_was_learned():
    for seed in range(4):
        detector = learn_detector(
            lines(0, 400, seed), LearnSettings(in_order=True, rate=0.05, seed=seed, steps=60)
        )
        verdicts = detector.judge(lines(400, 400, seed), explain=False)
        assert np.mean([verdict.p_value <= 0.1 for verdict in verdicts]) <= 0.1
