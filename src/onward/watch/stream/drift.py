"""Drift: tests whether the stream still resembles the training data, with a bound on false reports.

A p-value is small if it is at most a level a. At most a share q of the normal sequences has a small p-value.
The calibration on n sequences gives an upper limit of this share: the limit of Beta(k, n + 1 - k) with
k = floor(a (n + 1)), which is exceeded with probability 1/10,000. q is 1.5 times this limit, because the
models of the calibration scores saw part of the data.

Fifty sequences form a block and are tested together, because unusual but normal sequences come in bursts: a
burst of a minute is not drift. Without drift, more than c p-values of a block are small with a probability of
at most t. c is the smallest number for which Binomial(50, q) gives a t of at most 1/10.

A bet against "no drift" is a capital that each block multiplies by

    r/t if more than c of its p-values are small, else (1 - r)/(1 - t)

with a share r above t. Without drift, the expected capital does not grow. The capital is split over several
shares r. Of each part, a fraction 1/(k (k + 1)) is only bet from block k on, so that late changes are found
too. By Ville's inequality the total ever reaches b with probability at most 1/b, however long the stream is
(Ramdas, Gruenwald, Vovk and Shafer 2023). `BOUND` covers the uncertainty of the calibration and the bets. The
partitions of a topic are tested one by one: the tests share the calibration, and divide what is left of it.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from onward.stored import Count, StoredModel
from onward.watch.calibration.statistics import beta_quantile
from onward.watch.detector import Detector

BOUND = 0.001
"""Probability that drift is ever reported although there is none."""

BLOCK = 50
"""Number of sequences that are tested together."""

_LARGEST_LEVEL = 0.2
"""A level that is always tested, because a small change of all sequences shows only there."""

_SLACK, _EXCEEDED, _TAIL = 1.5, 1e-4, 0.1
"""Factor of the limit in q; probability that the limit is exceeded; largest t (see the module)."""

_SHARES = np.array([1.5, 3.0, 6.0])
"""The shares r, as multiples of t."""

_MOST_CAPITAL = 1e300
"""Where a capital stops growing."""

_RECENT = 10
"""Number of last blocks whose share of small p-values the message reports."""


@dataclass
class Bet:
    """A bet against the claim that at most `share` of the p-values are at most `level`.

    Attributes:
        level: a in the module's docstring.
        share: q.
        capitals: the capital on each share r, without the part for later bets.
        blocks: number of complete blocks.
        found: small p-values in each of the last complete blocks, and in the current one.
    """

    level: float
    share: float
    capitals: np.ndarray = field(default_factory=lambda: np.zeros(len(_SHARES)))
    blocks: int = 0
    found: deque[int] = field(default_factory=lambda: deque([0], _RECENT + 1))

    def __post_init__(self) -> None:
        self.most, self.tail = _block_limit(self.share)  # c and t

    def add(self, p_value: float) -> None:
        self.found[-1] += p_value <= self.level + 1e-12

    def settle(self) -> float:
        """Ends a block, and returns the total capital, which starts at 1."""
        shares = np.minimum(_SHARES * self.tail, (1 + self.tail) / 2)
        self.blocks += 1
        begun = 1 / (self.blocks * (self.blocks + 1)) / len(shares)
        hit = self.found[-1] > self.most
        factors = shares / self.tail if hit else (1 - shares) / (1 - self.tail)
        self.capitals = np.minimum((self.capitals + begun) * factors, _MOST_CAPITAL)
        self.found.append(0)
        return float(self.capitals.sum()) + 1 / (self.blocks + 1)

    @property
    def recent(self) -> tuple[int, int]:
        """Number of small p-values in the last complete blocks, and of sequences in them."""
        full = list(self.found)[:-1]
        return sum(full), BLOCK * len(full)


class Drift:
    """Tests for drift at three levels of the p-value: the false-alarm rate, ten times that, and 0.2.

    Args:
        rate: the requested false-alarm rate.
        calibrated: n, the number of calibration sequences.
        partitions: number of tests that share the bound.

    Attributes:
        message: the report of drift; "" while there is none.
    """

    def __init__(self, rate: float, calibrated: int, partitions: int = 1) -> None:
        smallest = 1 / (calibrated + 1)
        lowest = max(rate, smallest)
        levels = sorted({lowest, min(_LARGEST_LEVEL, 10 * lowest), max(_LARGEST_LEVEL, lowest)})
        self._bets = [Bet(level, _SLACK * _limit(level, calibrated)) for level in levels]
        tests = len(levels) * partitions
        self._enough = tests / (BOUND - len(levels) * _EXCEEDED)  # the capital at which drift is reported
        self._in_block = 0
        self.message = ""

    @classmethod
    def of(cls, detector: Detector, data: Any = None, partitions: int = 1) -> "Drift":
        """Returns the test for a detector. It continues from `to_json` if the levels are the same.

        Raises:
            ValueError: the data is not the state of a test.
        """
        drift = cls(detector.rate, len(detector.calibration.scores), partitions)
        state = None if data is None else _DriftState.model_validate(data)
        if state and [bet.level for bet in state.bets] == [bet.level for bet in drift._bets]:
            for bet, known in zip(drift._bets, state.bets, strict=True):
                bet.capitals, bet.blocks = np.array(known.capitals), known.blocks
                bet.found.clear()
                bet.found.extend(known.found)
            drift.message, drift._in_block = state.told, state.in_block
        return drift

    def observe(self, p_value: float) -> str:
        """Adds the p-value of a sequence that ended. Returns the first report of drift, else ""."""
        for bet in self._bets:
            bet.add(p_value)
        self._in_block = (self._in_block + 1) % BLOCK
        if self._in_block:
            return ""
        drifted = [bet for bet in self._bets if bet.settle() >= self._enough]
        if self.message or not drifted:
            return ""
        self.message = _message(drifted[0])
        return self.message

    def to_json(self) -> dict[str, Any]:
        bets = [
            {
                "level": bet.level,
                "capitals": bet.capitals.tolist(),
                "blocks": bet.blocks,
                "found": list(bet.found),
            }
            for bet in self._bets
        ]
        return {"told": self.message, "in_block": self._in_block, "bets": bets}


_Capital = Annotated[float, Field(ge=0, le=_MOST_CAPITAL)]


class _BetState(StoredModel):
    level: float
    capitals: Annotated[list[_Capital], Field(min_length=len(_SHARES), max_length=len(_SHARES))]
    blocks: Count
    found: Annotated[list[Count], Field(min_length=1, max_length=_RECENT + 1)]


class _DriftState(StoredModel):
    """What `Drift.to_json` returns."""

    told: str
    in_block: Annotated[int, Field(ge=0, lt=BLOCK)]
    bets: list[_BetState]


def _message(bet: Bet) -> str:
    found, of = bet.recent
    return (
        f"drift: {found / of:.1%} of the last {of:,} sequences have a p-value of at most {bet.level:.2g}, "
        f"but at most {bet.share:.2%} of normal sequences do. Either there are many anomalies, or normal "
        "behaviour has changed. Check some alarms; then mark normal ones with `onward watch ok`, or learn a "
        "new detector from recent data"
    )


def _limit(level: float, calibrated: int) -> float:
    """Returns the upper limit of the share of normal sequences with p-values of at most a level."""
    count = max(1, math.floor(level * (calibrated + 1) + 1e-9))
    if count > calibrated:
        return 0.6
    return min(0.6, beta_quantile(1 - _EXCEEDED, count, calibrated + 1 - count))


def _block_limit(share: float) -> tuple[int, float]:
    """Returns c and t for a share q."""
    most, below = -1, 0.0
    while most < BLOCK - 1 and 1 - below > _TAIL:
        most += 1
        below += math.comb(BLOCK, most) * share**most * (1 - share) ** (BLOCK - most)
    return most, min(_TAIL, max(1 - below, 1e-9))
