"""Each baseline flags what it is named after, and nothing that it has met."""

import json

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import UNKNOWN
from onward.watch.calibration.baselines import GRAMS, LOOKUPS, Baselines, gram_scores
from onward.watch.scoring.ngram import Grams
from onward.watch.scoring.profile import Profile

A, B, SYMBOLS = 4, 5, 7


def of(*sequences: list[int]) -> Sequences:
    return Sequences.of(np.array(sequence, np.int64) for sequence in sequences)


NORMAL = of(*([A, B] * (1 + i % 3) for i in range(30)))
PROFILE = Profile.of(NORMAL, SYMBOLS)


@pytest.fixture(scope="module")
def baselines() -> Baselines:
    grams = Grams.of(NORMAL, SYMBOLS)
    held_out = {name: np.sort(scores) for name, scores in gram_scores(grams, NORMAL).items()}
    return Baselines.of(NORMAL, grams, held_out)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([A, B, A, B], set()),
        ([A, UNKNOWN], {"new_event", "new_bigram", "bigram_or_length", "count_vector"}),
        ([A, A, B, B], {"new_bigram", "bigram_or_length"}),
        ([A, B] * 5, {"length_range", "bigram_or_length", "count_vector"}),
        ([B, A], {"new_bigram", "bigram_or_length"}),
    ],
)
def test_lookups_flag_what_they_have_not_met(
    ids: list[int], expected: set[str], baselines: Baselines
) -> None:
    scores = baselines.scores(of(ids), PROFILE)
    assert {name for name in LOOKUPS if scores[name][0] > baselines.threshold(name, 0.5)} == expected


def test_an_event_that_the_alphabet_has_but_no_sequence_had_is_new(baselines: Baselines) -> None:
    assert baselines.scores(of([A, 6], [A, B]), PROFILE)["new_event"].tolist() == [1.0, 0.0]


def test_unknown_is_new_though_it_was_learned_from(baselines: Baselines) -> None:
    profile = Profile.of(of([A, UNKNOWN]), SYMBOLS)
    assert baselines.scores(of([A, UNKNOWN]), profile)["new_event"].tolist() == [1.0]


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("name", GRAMS)
def test_with_one_more_at_most_the_rate_of_scores_is_above_the_threshold(name: str, rate: float) -> None:
    scores = np.sort(np.random.default_rng(0).normal(size=200))
    baselines = Baselines.of(NORMAL, Grams.of(NORMAL, SYMBOLS), dict.fromkeys(GRAMS, scores))
    assert (scores > baselines.threshold(name, rate)).sum() == max(0, int(rate * 201) - 1)


def test_the_n_gram_finds_the_wrong_order_less_probable(baselines: Baselines) -> None:
    scores = baselines.scores(of([A, B, A, B], [A, A, B, B]), PROFILE)
    for name in GRAMS:
        assert scores[name][1] > scores[name][0] + 0.5
        assert scores[name][1] > baselines.threshold(name, 0.1) >= scores[name][0]


def test_plain_values_hold_all_of_it(baselines: Baselines) -> None:
    again = Baselines.from_json(json.loads(json.dumps(baselines.to_json())))
    asked = of([A, B, B], [A], [UNKNOWN] * 9)
    for name, scores in baselines.scores(asked, PROFILE).items():
        assert np.array_equal(again.scores(asked, PROFILE)[name], scores)
        assert again.threshold(name, 0.1) == pytest.approx(baselines.threshold(name, 0.1), rel=1e-6)
