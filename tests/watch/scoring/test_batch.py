"""The scores of whole sequences follow from those of their events."""

import random
from dataclasses import replace

import numpy as np
import pytest

from onward.watch.detector import Detector
from onward.watch.scoring.batch import ModelScores, score_sequences
from onward.watch.scoring.surprise import Mixture

RANDOM = random.Random(0)
NAMES = ["start", "read", "write", "sync", "stop", "boom"]


def draw(length: int) -> list[str]:
    return [RANDOM.choice(NAMES) for _ in range(length)]


SEQUENCES = [draw(length) for length in (0, 1, 2, 3, 7, 40, 700, 700, 1500)]


def scores_of(detector: Detector, sequences: list[list[str]]) -> ModelScores:
    vocabulary = detector.vocabulary
    return score_sequences(detector.model, vocabulary.encode(sequences), vocabulary)


def bits_of(detector: Detector, sequences: list[list[str]]) -> np.ndarray:
    """The bits of the events of each sequence, in an array of arrays."""
    return detector.vocabulary.encode(sequences).split(scores_of(detector, sequences).bits)


def test_scores_follow_from_the_scores_of_the_events(detector: Detector) -> None:
    """The longest sequences are read in several steps."""
    found, model_alone = scores_of(detector, SEQUENCES), replace(detector, mixture=Mixture(1.0, 1.0))
    expected = [model_alone.score_events(sequence) for sequence in SEQUENCES]
    bits = [score.bits for scores in expected for score in scores]
    np.testing.assert_allclose(found.bits, bits, rtol=1e-4)
    assert found.ranks.tolist() == [max(score.rank for score in scores) for scores in expected]


@pytest.mark.slow
def test_the_order_of_sequences_makes_no_difference(detector: Detector) -> None:
    for forward, backward in zip(
        bits_of(detector, SEQUENCES), bits_of(detector, SEQUENCES[::-1])[::-1], strict=True
    ):
        np.testing.assert_allclose(forward, backward, rtol=1e-4)


def test_many_sequences_have_the_scores_that_they_have_alone(detector: Detector) -> None:
    """They do not fit into one batch."""
    sequences = [draw(RANDOM.randrange(300)) for _ in range(400)]
    alone = np.concatenate([scores_of(detector, [sequence]).bits for sequence in sequences])
    np.testing.assert_allclose(scores_of(detector, sequences).bits, alone, rtol=1e-4)
