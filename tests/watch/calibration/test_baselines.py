"""Each baseline flags the deviation that it is named after, and nothing that occurred in training."""

import json

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import UNKNOWN
from onward.watch.calibration.baselines import LOOKUPS, NGRAM_BASELINES, Baselines, ngram_scores
from onward.watch.scoring.ngram import NgramModel
from onward.watch.scoring.profile import Profile

A, B, SYMBOLS = 4, 5, 7


def sequences_of(*sequences: list[int]) -> Sequences:
    return Sequences.of(np.array(sequence, np.int64) for sequence in sequences)


NORMAL = sequences_of(*([A, B] * (1 + i % 3) for i in range(30)))
PROFILE = Profile.of(NORMAL, SYMBOLS)


@pytest.fixture(scope="module")
def baselines() -> Baselines:
    ngrams = NgramModel.of(NORMAL, SYMBOLS)
    held_out = {name: np.sort(scores) for name, scores in ngram_scores(ngrams, NORMAL).items()}
    return Baselines.of(NORMAL, ngrams, held_out)


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
def test_lookups_flag_what_did_not_occur_in_training(
    ids: list[int], expected: set[str], baselines: Baselines
) -> None:
    scores = baselines.scores(sequences_of(ids), PROFILE)
    assert {name for name in LOOKUPS if scores[name][0] > baselines.threshold(name, 0.5)} == expected


def test_an_event_of_the_vocabulary_that_no_training_sequence_has_is_new(baselines: Baselines) -> None:
    assert baselines.scores(sequences_of([A, 6], [A, B]), PROFILE)["new_event"].tolist() == [1.0, 0.0]


def test_the_unknown_event_is_new_even_if_it_occurred_in_training(baselines: Baselines) -> None:
    profile = Profile.of(sequences_of([A, UNKNOWN]), SYMBOLS)
    assert baselines.scores(sequences_of([A, UNKNOWN]), profile)["new_event"].tolist() == [1.0]


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("name", NGRAM_BASELINES)
def test_at_most_the_rate_of_held_out_scores_is_above_the_threshold(name: str, rate: float) -> None:
    scores = np.sort(np.random.default_rng(0).normal(size=200))
    ngrams = NgramModel.of(NORMAL, SYMBOLS)
    baselines = Baselines.of(NORMAL, ngrams, dict.fromkeys(NGRAM_BASELINES, scores))
    assert (scores > baselines.threshold(name, rate)).sum() == max(0, int(rate * 201) - 1)


def test_the_n_gram_finds_the_wrong_order_less_likely(baselines: Baselines) -> None:
    scores = baselines.scores(sequences_of([A, B, A, B], [A, A, B, B]), PROFILE)
    for name in NGRAM_BASELINES:
        assert scores[name][1] > scores[name][0] + 0.5
        assert scores[name][1] > baselines.threshold(name, 0.1) >= scores[name][0]


def test_json_restores_the_baselines(baselines: Baselines) -> None:
    again = Baselines.from_json(json.loads(json.dumps(baselines.to_json())), SYMBOLS)
    new = sequences_of([A, B, B], [A], [UNKNOWN] * 9)
    for name, scores in baselines.scores(new, PROFILE).items():
        assert np.array_equal(again.scores(new, PROFILE)[name], scores)
        assert again.threshold(name, 0.1) == pytest.approx(baselines.threshold(name, 0.1), rel=1e-6)
