"""Drift: whether what is watched is still what was learned, said with a bound on false alarms.

Among normal sequences at most a share q has a p-value of at most a: q = a, and more by what a calibration
on n sequences leaves open (the upper limit of Beta(k, n + 1 - k), k = floor(a (n + 1)), that is exceeded
with probability 1/10,000), and by half again, since calibration scores come from models that saw a part of
the data. A bet against it is a capital that is multiplied, for each sequence, by

    r/q if its p-value is at most a, else (1 - r)/(1 - q)

for a share r above q: as long as the share is at most q it cannot be expected to grow. Part of the capital
is bet on each of some shares r, and a part of each, 1/(k (k + 1)), only from the kth sequence on, so that a
change after many sequences is found too. By Ville's inequality the whole reaches c at any time, however long
one watches, with probability 1/c at most (Ramdas, Gruenwald, Vovk and Shafer 2023).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from onward.watch.detector import Detector
from onward.watch.intervals import beta_quantile

BOUND = 0.001
"""Probability that drift is said, ever, though there is none."""

_SLACK, _OPEN = 1.5, 1e-4
_SHARES = np.array([1.5, 2.0, 4.0, 8.0, 16.0])
"""Shares that are bet on, as multiples of q."""


@dataclass
class Bet:
    """One capital, against the share of p-values of at most `level` being at most `share`.

    Attributes:
        level: a.
        share: q.
        capitals: of what was bet on each share r, without what is kept for later bets.
        seen: sequences, and
        found: those of them whose p-value was at most the level.
    """

    level: float
    share: float
    capitals: np.ndarray
    seen: int = 0
    found: int = 0

    def take(self, p_value: float) -> float:
        """The capital after one more sequence; at the beginning it is 1."""
        shares = np.minimum(_SHARES * self.share, (1 + self.share) / 2)
        hit = p_value <= self.level + 1e-12
        self.seen += 1
        self.found += hit
        begun = 1 / (self.seen * (self.seen + 1)) / len(shares)
        factors = shares / self.share if hit else (1 - shares) / (1 - self.share)
        self.capitals = np.minimum((self.capitals + begun) * factors, 1e300)
        return float(self.capitals.sum()) + 1 / (self.seen + 1)


class Drift:
    """Tests what is watched against what was learned, at two levels: the rate asked for, and ten times that.

    Args:
        rate: of false alarms that was asked for.
        calibrated: n, normal sequences that the p-values are ranks among.

    Attributes:
        told: what was said of drift; empty as long as there is none.
    """

    def __init__(self, rate: float, calibrated: int) -> None:
        levels = sorted({max(rate, 1 / (calibrated + 1)), min(0.2, max(10 * rate, 10 / (calibrated + 1)))})
        self._rate = rate
        self._bets = [
            Bet(level, _SLACK * _limit(level, calibrated), np.zeros(len(_SHARES))) for level in levels
        ]
        self.told = ""

    @classmethod
    def of(cls, detector: Detector, data: dict[str, Any] | None = None) -> "Drift":
        """Of a detector; goes on from what `to_json` gave if the levels are the same."""
        drift = cls(detector.rate, len(detector.calibration.scores))
        if data and [bet["level"] for bet in data["bets"]] == [bet.level for bet in drift._bets]:
            for bet, known in zip(drift._bets, data["bets"], strict=True):
                bet.capitals = np.array(known["capitals"])
                bet.seen, bet.found = known["seen"], known["found"]
            drift.told = data["told"]
        return drift

    def observe(self, p_value: float) -> str:
        """What is to be said after one more sequence has ended: nothing, or once that there is drift."""
        for bet in self._bets:
            if bet.take(p_value) >= len(self._bets) / BOUND and not self.told:
                self.told = self._sentence(bet)
                return self.told
        return ""

    def _sentence(self, bet: Bet) -> str:
        return (
            f"drift: {bet.found / bet.seen:.2%} of {bet.seen:,} sequences have p-values of at most "
            f"{bet.level:.2g}, and of what was learned at most {bet.share:.2%} would: either there are many "
            "anomalies, or what is normal has changed; look at some alarms, then say what was normal with "
            "onward watch ok, or learn again from recent data"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        bets = [
            {"level": bet.level, "capitals": bet.capitals.tolist(), "seen": bet.seen, "found": bet.found}
            for bet in self._bets
        ]
        return {"told": self.told, "bets": bets}


def _limit(level: float, calibrated: int) -> float:
    """The share of normal sequences with p-values of at most a level that is hardly ever exceeded."""
    count = int(np.floor(level * (calibrated + 1) + 1e-9))
    return min(0.6, beta_quantile(1 - _OPEN, count, calibrated + 1 - count))
