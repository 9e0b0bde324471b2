"""Long sequences, where no single event is surprising: the mean tells, and the defaults see it."""

import numpy as np
import pytest

from onward.watch.calibration.statistics import auc_with_interval
from onward.watch.training import LearnSettings, learn_detector

pytestmark = pytest.mark.slow
SYMBOLS = 12


def source(seed: int, changed: float = 0.0) -> np.ndarray:
    """Transition probabilities (12, 12) with no zero; a share of them is another source's."""
    matrix = np.random.default_rng(seed).dirichlet(np.full(SYMBOLS, 0.4), SYMBOLS) * 0.95 + 0.05 / SYMBOLS
    other = np.random.default_rng(seed + 1).dirichlet(np.full(SYMBOLS, 0.4), SYMBOLS)
    return (1 - changed) * matrix + changed * other


def walks(matrix: np.ndarray, count: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        state, walk = int(rng.integers(SYMBOLS)), []
        for drawn in rng.random(int(rng.integers(150, 400))):
            state = min(int(np.searchsorted(np.cumsum(matrix[state]), drawn)), SYMBOLS - 1)
            walk.append(str(state))
        found.append(walk)
    return found


@pytest.mark.parametrize("seed", [0, 10])
def test_subtle_changes_are_seen_though_the_largest_surprise_is_not(seed):
    detector = learn_detector(walks(source(seed), 250, 1), LearnSettings(folds=2, rate=0.05))
    right = detector.judge(walks(source(seed), 150, 2))
    wrong = detector.judge(walks(source(seed, 0.15), 150, 3))
    auc, _ = auc_with_interval(*(np.array([v.score for v in part]) for part in (right, wrong)))
    by_largest, _ = auc_with_interval(
        *(np.array([v.features["largest"] for v in part]) for part in (right, wrong))
    )
    assert auc > 0.9
    assert auc > by_largest + 0.1
    assert np.mean([v.flagged for v in right]) < 0.12
