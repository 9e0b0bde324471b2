"""What is measured of many sequences side by side is what each event by itself comes to."""

import random

import numpy as np
import pytest

from onward.watch.detector import Detector
from onward.watch.scoring import batch as module
from onward.watch.scoring.batch import tally
from onward.watch.scoring.features import BURST, Tally

CHANCE = random.Random(0)
NAMES = ["start", "read", "write", "sync", "stop", "boom"]
SEQUENCES = [[CHANCE.choice(NAMES) for _ in range(length)] for length in (0, 1, 2, 3, 7, 40, 700, 700, 1500)]


@pytest.fixture(scope="module")
def expected(detector: Detector) -> list[dict[str, float]]:
    """Of each sequence, reckoned from its events one by one."""
    found = []
    for sequence in SEQUENCES:
        scores = detector.score_events(sequence)
        running, burst = 0.0, 0.0
        for score in scores:
            running += BURST * (score.bits - running)
            burst = max(burst, running)
        bits = [score.bits for score in scores]
        found.append(
            {
                "lengths": len(sequence),
                "totals": sum(bits),
                "largest": max(bits),
                "bursts": burst,
                "ranks": max(score.rank for score in scores),
            }
        )
    return found


def measured(detector: Detector) -> Tally:
    return tallied(detector, SEQUENCES)


def tallied(detector: Detector, sequences: list[list[str]]) -> Tally:
    return tally(detector.model, detector.alphabet.encode(sequences), detector.alphabet.never)


@pytest.mark.parametrize("small", [False, True])
def test_sequences_of_any_length_are_measured_as_their_events_are(
    small: bool, detector: Detector, expected: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:  # so that sequences are read in many pieces, and few at once
        monkeypatch.setattr(module, "_LONGEST", 16)
        monkeypatch.setattr(module, "_POSITIONS", 32)
    found = measured(detector)
    for name, values in found._asdict().items():
        assert values == pytest.approx([each[name] for each in expected], rel=1e-4), name


def test_the_order_of_sequences_makes_no_difference(detector: Detector) -> None:
    forth, back = (tallied(detector, part) for part in (SEQUENCES, SEQUENCES[::-1]))
    for one, two in zip(forth, back, strict=True):
        assert np.allclose(one, two[::-1], rtol=1e-5)
