"""Confidence intervals of shares, of false-alarm rates, and of the area under a ROC curve."""

import math

import numpy as np
from scipy.special import betaincinv, ndtri

LEVEL = 0.95


def binomial_interval(found: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """Returns the exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = 0.0 if found == 0 else beta_quantile(tail, found, of - found + 1)
    high = 1.0 if found == of else beta_quantile(1 - tail, found + 1, of - found)
    return low, high


def calibration_interval(rate: float, calibrated: int, level: float = LEVEL) -> tuple[float, float]:
    """Returns the interval of the share of normal sequences that a calibrated threshold flags.

    The threshold is the k-th highest of n calibration scores, k = floor(rate * (n + 1)). The share of new
    normal sequences above it follows Beta(k, n + 1 - k), whatever the scores are (Vovk 2012); ties make the
    share smaller. If k is 0, nothing is flagged and the interval is (0, 0); if k is more than n, everything
    is flagged and it is (1, 1).

    Args:
        rate: the requested rate of false alarms.
        calibrated: the number of calibration scores n.
        level: the confidence level.
    """
    allowed = allowed_alarms(rate, calibrated)
    if not 0 < allowed <= calibrated:
        return (1.0, 1.0) if allowed else (0.0, 0.0)
    tail = (1 - level) / 2
    other = calibrated + 1 - allowed
    return beta_quantile(tail, allowed, other), beta_quantile(1 - tail, allowed, other)


def allowed_alarms(rate: float, calibrated: int) -> int:
    """Returns k = floor(rate * (n + 1)): the threshold is the k-th highest of n calibration scores."""
    return math.floor(rate * (calibrated + 1) + 1e-9)


def beta_quantile(share: float, a: int, b: int) -> float:
    """Returns the value below which this share of a Beta(a, b) distribution lies."""
    return float(betaincinv(a, b, share))


def auc_with_interval(
    normal: np.ndarray, anomalous: np.ndarray, level: float = LEVEL
) -> tuple[float, tuple[float, float]]:
    """Returns the area under the ROC curve and its interval (DeLong, DeLong and Clarke-Pearson 1988).

    If the area is 0 or 1, the estimated variance is 0 and the interval has no width.

    Args:
        normal: scores of normal sequences, (n,).
        anomalous: scores of anomalous sequences, (m,).
        level: the confidence level.
    """
    above_normal = _share_below(anomalous, normal)  # (m,)
    below_anomalous = 1 - _share_below(normal, anomalous)  # (n,)
    auc = float(above_normal.mean())
    variance = _variance_of_mean(above_normal) + _variance_of_mean(below_anomalous)
    half = float(ndtri((1 + level) / 2)) * math.sqrt(variance)
    return auc, (max(0.0, auc - half), min(1.0, auc + half))


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns for each value the share of the others that are lower; equal ones count half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(ordered))


def _variance_of_mean(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
