"""Drift: whether what is watched is still what was learned, said with a bound on false alarms.

Among normal sequences at most a share q has a p-value of at most a: q = a, and more by what a calibration
on n sequences leaves open (the upper limit of Beta(k, n + 1 - k), k = floor(a (n + 1)), that is exceeded
with probability 1/10,000), and by half again, since calibration scores come from models that saw a part of
the data. So fifty sequences have more than c such p-values with a probability t of at most 1/10, c being the
smallest number of which that is true by Binomial(50, q). Fifty at a time, since strange but normal sequences
come in bursts: one that lasts a minute is no drift.

A bet against it is a capital that is multiplied, for every fifty sequences, by

    r/t if more than c of them have such a p-value, else (1 - r)/(1 - t)

for a share r above t: as long as nothing has changed it cannot be expected to grow. Part of the capital is
bet on each of some shares r, and a part of each, 1/(k (k + 1)), only from the kth fifty on, so that a change
after a long time is found too. By Ville's inequality the whole reaches b at any time, however long one
watches, with probability 1/b at most (Ramdas, Gruenwald, Vovk and Shafer 2023). `BOUND` is that of both
together: what the calibrations of the levels leave open, and what the bets on them do.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onward.watch.calibration.statistics import beta_quantile
from onward.watch.detector import Detector

BOUND = 0.001
"""Probability that drift is said, ever, though there is none."""

BLOCK = 50
"""Sequences that are looked at together."""

_WIDEST = 0.2
"""The level that is looked at whatever the rate is: what changes a little everywhere is seen there alone."""

_SLACK, _OPEN, _TAIL = 1.5, 1e-4, 0.1
_SHARES = np.array([1.5, 3.0, 6.0])
"""Shares that are bet on, as multiples of t."""

_RECENT = 10
"""Blocks whose share of small p-values is told."""


@dataclass
class Bet:
    """One capital, against the share of p-values of at most `level` being at most `share`.

    Attributes:
        level: a.
        share: q.
        capitals: of what was bet on each share r, without what is kept for later bets.
        blocks: that were seen.
        found: small p-values in the last of these, and in the one that is not full.
    """

    level: float
    share: float
    capitals: np.ndarray = field(default_factory=lambda: np.zeros(len(_SHARES)))
    blocks: int = 0
    found: deque[int] = field(default_factory=lambda: deque([0], _RECENT + 1))

    def __post_init__(self) -> None:
        """Finds c and t."""
        self.most, self.tail = _cut(self.share)

    def take(self, p_value: float) -> None:
        """One more sequence."""
        self.found[-1] += p_value <= self.level + 1e-12

    def settle(self) -> float:
        """The capital after a block has become full; at the beginning it is 1."""
        shares = np.minimum(_SHARES * self.tail, (1 + self.tail) / 2)
        self.blocks += 1
        begun = 1 / (self.blocks * (self.blocks + 1)) / len(shares)
        hit = self.found[-1] > self.most
        factors = shares / self.tail if hit else (1 - shares) / (1 - self.tail)
        self.capitals = np.minimum((self.capitals + begun) * factors, 1e300)
        self.found.append(0)
        return float(self.capitals.sum()) + 1 / (self.blocks + 1)

    @property
    def recent(self) -> tuple[int, int]:
        """Small p-values in the last full blocks, and the sequences in these."""
        full = list(self.found)[:-1]
        return sum(full), BLOCK * len(full)


class Drift:
    """Tests what is watched against what was learned, at three levels: the rate, ten times that, and 0.2.

    Args:
        rate: of false alarms that was asked for.
        calibrated: n, normal sequences that the p-values are ranks among.

    Attributes:
        told: what was said of drift; empty as long as there is none.
    """

    def __init__(self, rate: float, calibrated: int) -> None:
        smallest = 1 / (calibrated + 1)
        lowest = max(rate, smallest)
        levels = sorted({lowest, min(_WIDEST, 10 * lowest), max(_WIDEST, lowest)})
        self._bets = [Bet(level, _SLACK * _limit(level, calibrated)) for level in levels]
        self._in_block = 0
        self.told = ""

    @classmethod
    def of(cls, detector: Detector, data: dict[str, Any] | None = None) -> "Drift":
        """Of a detector; goes on from what `to_json` gave if the levels are the same."""
        drift = cls(detector.rate, len(detector.calibration.scores))
        if data and [bet["level"] for bet in data["bets"]] == [bet.level for bet in drift._bets]:
            for bet, known in zip(drift._bets, data["bets"], strict=True):
                bet.capitals, bet.blocks = np.array(known["capitals"]), known["blocks"]
                bet.found.clear()
                bet.found.extend(known["found"])
            drift.told, drift._in_block = data["told"], data["in_block"]
        return drift

    def observe(self, p_value: float) -> str:
        """What is to be said after one more sequence has ended: nothing, or once that there is drift."""
        for bet in self._bets:
            bet.take(p_value)
        self._in_block = (self._in_block + 1) % BLOCK
        if self._in_block:
            return ""
        drifted = [
            bet for bet in self._bets if bet.settle() >= len(self._bets) / (BOUND - len(self._bets) * _OPEN)
        ]
        if self.told or not drifted:
            return ""
        self.told = _sentence(drifted[0])
        return self.told

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        bets = [
            {
                "level": bet.level,
                "capitals": bet.capitals.tolist(),
                "blocks": bet.blocks,
                "found": list(bet.found),
            }
            for bet in self._bets
        ]
        return {"told": self.told, "in_block": self._in_block, "bets": bets}


def _sentence(bet: Bet) -> str:
    found, of = bet.recent
    return (
        f"drift: {found / of:.1%} of the last {of:,} sequences have p-values of at most {bet.level:.2g}, and "
        f"of what was learned at most {bet.share:.2%} have: either there are many anomalies, or what is "
        "normal has changed; look at some alarms, then say what was normal with `onward watch ok`, or learn "
        "again from recent data"
    )


def _limit(level: float, calibrated: int) -> float:
    """The share of normal sequences with p-values of at most a level that is hardly ever exceeded."""
    count = max(1, math.floor(level * (calibrated + 1) + 1e-9))
    if count > calibrated:
        return 0.6
    return min(0.6, beta_quantile(1 - _OPEN, count, calibrated + 1 - count))


def _cut(share: float) -> tuple[int, float]:
    """c and t of a share."""
    most, below = -1, 0.0
    while most < BLOCK - 1 and 1 - below > _TAIL:
        most += 1
        below += math.comb(BLOCK, most) * share**most * (1 - share) ** (BLOCK - most)
    return most, min(_TAIL, max(1 - below, 1e-9))
