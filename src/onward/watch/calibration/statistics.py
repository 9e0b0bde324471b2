"""Intervals: what a number of sequences allows one to say of a share, and of the area under a ROC curve."""

import math

import numpy as np

LEVEL = 0.95


def binomial_interval(found: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = 0.0 if found == 0 else beta_quantile(tail, found, of - found + 1)
    high = 1.0 if found == of else beta_quantile(1 - tail, found + 1, of - found)
    return low, high


def calibration_interval(rate: float, calibrated: int, level: float = LEVEL) -> tuple[float, float]:
    """Where the share of normal sequences that are flagged lies, given how many the threshold comes from.

    Of so many calibration sequences the threshold is the k-th highest, k = floor(rate * (n + 1)); the share
    of new ones beyond it is then distributed as Beta(k, n + 1 - k), whatever the scores are (Vovk 2012);
    where there are ties it is less. (0, 0) where no sequence can be flagged.
    """
    allowed = math.floor(rate * (calibrated + 1) + 1e-9)
    if not allowed:
        return 0.0, 0.0
    tail = (1 - level) / 2
    other = calibrated + 1 - allowed
    return beta_quantile(tail, allowed, other), beta_quantile(1 - tail, allowed, other)


def beta_quantile(share: float, a: int, b: int) -> float:
    """The value below which that share of a Beta(a, b) distribution lies, to 1e-10."""
    low, high = 0.0, 1.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        if _beta_below(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def auc_with_interval(
    normal: np.ndarray, anomalous: np.ndarray, level: float = LEVEL
) -> tuple[float, tuple[float, float]]:
    """The area under the ROC curve, and its interval after DeLong, DeLong and Clarke-Pearson (1988).

    The variance is that of the share of sequences of the other kind that each sequence is above, ties half.
    Where the area is 0 or 1 the variance is none, and says nothing.
    """
    above_normal = _share_below(anomalous, normal)  # (m,)
    below_wrong = 1 - _share_below(normal, anomalous)  # (n,)
    auc = float(above_normal.mean())
    variance = _variance_of_mean(above_normal) + _variance_of_mean(below_wrong)
    half = _normal_quantile((1 + level) / 2) * math.sqrt(variance)
    return auc, (max(0.0, auc - half), min(1.0, auc + half))


def _share_below(asked: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each of the values the share of the others that are lower, those that are equal counted half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, asked, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(ordered))


def _variance_of_mean(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def _normal_quantile(share: float) -> float:
    """Of the standard normal distribution."""
    low, high = -10.0, 10.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        if 0.5 * math.erfc(-middle / math.sqrt(2)) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_below(x: float, a: int, b: int) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_below(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny, c, d, total = 1e-300, 1.0, 0.0, 1.0
    for i in range(1000):
        m = i // 2
        if i == 0:
            term = 1.0
        elif i % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away_from_zero(1 + term * d, tiny)
        c = _away_from_zero(1 + term / c, tiny)
        total *= c * d
        if i and abs(1 - c * d) < 1e-14:
            break
    return math.exp(scale) * (total - 1) / a


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
