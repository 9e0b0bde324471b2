"""Made-up features of normal sequences for the tests of the calibration."""

import numpy as np

from onward.watch.scoring.features import FEATURES, Feature


def place_of(name: Feature) -> int:
    return FEATURES.index(name)


def draw_features(rng: np.random.Generator, count: int) -> np.ndarray:
    """Seven correlated features (n, 7): some discrete with many ties, some with heavy tails."""
    base = rng.standard_t(2, count)
    columns = [base, base + rng.normal(size=count), rng.exponential(size=count), base**2]
    return np.stack(
        [*columns, base - rng.exponential(size=count), rng.poisson(0.02, count), rng.poisson(0.05, count)],
        axis=1,
    ).astype(float)
