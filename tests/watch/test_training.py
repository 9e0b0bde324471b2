"""The calibration of a learned detector: the rate holds, even if normal behaviour changes with time."""

import numpy as np
import pytest

from onward.watch.calibration.statistics import calibration_interval
from onward.watch.training import LearnSettings, learn_detector


def draw_releases(first: int, count: int) -> list[list[str]]:
    """Sequences with an event that gets another name every forty sequences."""
    rng = np.random.default_rng(first)
    return [
        ["open", f"v{i // 40}", *["read"] * int(rng.integers(1, 4)), "close"]
        for i in range(first, first + count)
    ]


@pytest.mark.parametrize(("in_order", "is_flagged"), [(False, True), (True, False)])
def test_a_forward_calibration_does_not_flag_what_changes_with_time(in_order: bool, is_flagged: bool) -> None:
    settings = LearnSettings(folds=2, rate=0.05, steps=40, in_order=in_order)
    verdicts = learn_detector(draw_releases(0, 400), settings).judge(draw_releases(400, 40))
    share = np.mean([verdict.flagged for verdict in verdicts])
    assert share > 0.9 if is_flagged else share < 0.1


def test_the_last_sequences_are_held_out_if_they_are_in_order() -> None:
    normal = draw_releases(0, 80)
    detector = learn_detector(normal, LearnSettings(held_out=0.5, rate=0.1, steps=5, in_order=True))
    assert set(detector.vocabulary.names) == {event for sequence in normal[:40] for event in sequence}


def test_each_stage_is_reported() -> None:
    messages: list[str] = []
    learn_detector(draw_releases(0, 40), LearnSettings(folds=2, steps=1), notify=messages.append)
    assert [message.partition(":")[0] for message in messages[:2]] == [
        "calibrating, 1 of 2",
        "calibrating, 2 of 2",
    ]
    assert messages[2].startswith("learning from 40 sequences of ")


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
"""The only kinds of sequences, and how often each occurs."""


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.slow
def test_frequent_kinds_are_not_flagged_if_few_kinds_recur(in_order: bool) -> None:
    shares = np.array(list(KINDS.values())) / sum(KINDS.values())
    for seed in range(3):
        drawn = np.random.default_rng(seed).choice(len(KINDS), 800, p=shares)
        normal = [list(KINDS)[kind].split() for kind in drawn]
        detector = learn_detector(normal, LearnSettings(in_order=in_order, seed=seed, steps=60))
        p = np.array([verdict.p_value for verdict in detector.judge([kind.split() for kind in KINDS])])
        for rate in (0.01, 0.02, 0.05, 0.1, 0.2):
            highest = calibration_interval(rate, len(detector.calibration.scores))[1]
            assert shares[p <= rate].sum() <= highest


@pytest.mark.slow
def test_the_rate_holds_if_most_kinds_are_rare() -> None:
    flagged = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        kinds = [[f"kind{kind}"] for kind in rng.zipf(1.6, 2400).tolist()]
        detector = learn_detector(kinds[:400], LearnSettings(rate=0.01, seed=seed, steps=60))
        flagged.append(np.mean([verdict.flagged for verdict in detector.judge(kinds[400:], explain=False)]))
    assert np.mean(flagged) < 0.015


def draw_lines(first: int, count: int, seed: int) -> list[list[str]]:
    """Lines of which one in five is of a kind that appeared recently."""
    rng = np.random.default_rng((first, seed))
    return [
        [f"common{rng.integers(6)}"] if rng.random() < 0.8 else [f"new{i // 8}"]
        for i in range(first, first + count)
    ]


@pytest.mark.slow
def test_a_steady_flow_of_new_kinds_does_not_raise_the_rate() -> None:
    for seed in range(4):
        settings = LearnSettings(in_order=True, rate=0.05, seed=seed, steps=60)
        detector = learn_detector(draw_lines(0, 400, seed), settings)
        verdicts = detector.judge(draw_lines(400, 400, seed), explain=False)
        assert np.mean([verdict.p_value <= 0.1 for verdict in verdicts]) <= 0.1
