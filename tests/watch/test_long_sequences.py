"""Long anomalous sequences without any very surprising event are found by their mean surprise."""

import numpy as np
import pytest

from onward.watch.calibration.statistics import auc_with_interval
from onward.watch.scoring.features import Verdict
from onward.watch.training import LearnSettings, learn_detector

pytestmark = pytest.mark.slow
SYMBOLS = 12


def transitions(seed: int, changed: float = 0.0) -> np.ndarray:
    """Transition probabilities (12, 12) without a zero; a share of them belongs to another source."""
    matrix = np.random.default_rng(seed).dirichlet(np.full(SYMBOLS, 0.4), SYMBOLS) * 0.95 + 0.05 / SYMBOLS
    other = np.random.default_rng(seed + 1).dirichlet(np.full(SYMBOLS, 0.4), SYMBOLS)
    return (1 - changed) * matrix + changed * other


def draw_walks(matrix: np.ndarray, count: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        state, walk = int(rng.integers(SYMBOLS)), []
        for drawn in rng.random(int(rng.integers(150, 400))):
            state = min(int(np.searchsorted(np.cumsum(matrix[state]), drawn)), SYMBOLS - 1)
            walk.append(str(state))
        found.append(walk)
    return found


def top(verdict: Verdict) -> float:
    return verdict.features["top"]


def score(verdict: Verdict) -> float:
    return verdict.score


@pytest.mark.parametrize("seed", [0, 10])
def test_subtle_changes_are_found_better_than_by_the_most_surprising_events(seed: int) -> None:
    detector = learn_detector(draw_walks(transitions(seed), 250, 1), LearnSettings(folds=2, rate=0.05))
    normal = detector.judge(draw_walks(transitions(seed), 150, 2))
    changed = detector.judge(draw_walks(transitions(seed, 0.15), 150, 3))
    by_score, by_top = (
        auc_with_interval(np.array([*map(value, normal)]), np.array([*map(value, changed)]))[0]
        for value in (score, top)
    )
    assert by_score > 0.9
    assert by_score > by_top + 0.02
    assert np.mean([verdict.flagged for verdict in normal]) < 0.12
