"""The scores of whole sequences follow from those of their events."""

import random

import numpy as np
import pytest

from onward.watch.detector import Detector
from onward.watch.scoring.batch import score_sequences
from onward.watch.scoring.features import ModelScores
from onward.watch.scoring.surprise import TOP

RANDOM = random.Random(0)
NAMES = ["start", "read", "write", "sync", "stop", "boom"]


def draw(length: int) -> list[str]:
    return [RANDOM.choice(NAMES) for _ in range(length)]


SEQUENCES = [draw(length) for length in (0, 1, 2, 3, 7, 40, 700, 700, 1500)]


def scores_of(detector: Detector, sequences: list[list[str]]) -> ModelScores:
    vocabulary = detector.vocabulary
    return score_sequences(detector.model, vocabulary.encode(sequences), vocabulary.excluded)


def assert_equal(found: ModelScores, expected: ModelScores) -> None:
    for name, values in found._asdict().items():
        np.testing.assert_allclose(values, expected._asdict()[name], rtol=1e-4, err_msg=name)


def test_scores_follow_from_the_scores_of_the_events(detector: Detector) -> None:
    """The longest sequences are read in several steps."""
    found = scores_of(detector, SEQUENCES)
    for place, sequence in enumerate(SEQUENCES):
        scores = detector.score_events(sequence)
        bits = [score.bits for score in scores]
        top = sum(sorted(bits, reverse=True)[:TOP]) / TOP
        expected = (len(sequence), sum(bits), top, max(score.rank for score in scores))
        assert [values[place] for values in found] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_the_order_of_sequences_makes_no_difference(detector: Detector) -> None:
    forward, backward = (scores_of(detector, part) for part in (SEQUENCES, SEQUENCES[::-1]))
    assert_equal(forward, ModelScores(*(values[::-1] for values in backward)))


def test_many_sequences_have_the_scores_that_they_have_alone(detector: Detector) -> None:
    """They do not fit into one batch."""
    sequences = [draw(RANDOM.randrange(300)) for _ in range(400)]
    alone = [scores_of(detector, [sequence]) for sequence in sequences]
    expected = ModelScores(*(np.concatenate(values) for values in zip(*alone, strict=True)))
    assert_equal(scores_of(detector, sequences), expected)
