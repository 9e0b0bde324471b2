"""From features to one p-value that holds: conformal calibration on normal sequences that were held out.

A feature alone is turned into its tail score, -log10 of the share of normal sequences that have as much of
it. Beyond the largest value that was seen it hardly rises: how far out a sequence is there, nothing normal
can tell. Tail scores become one score in two ways, and the share of normal sequences whose counts are those
of another decides between the two.

Where counts recur, order and number are two kinds of evidence. Features of order are correlated, so the
largest of their tail scores speaks for all of them, and that of the counts is added to it, as in Fisher's
method. Of sequences that are wrong in one way alone such a sum says little, since normal ones are a bit odd
in both: so the tail score of the sum is set beside that of the largest of all, which counts for less, and the
larger of the two stands. Where no sequence has the counts of another, as where sequences are long, many small
oddities tell more than one: it is the largest tail score and the mean of all. What the model says counts
there for as much less as an n-gram needs fewer bits for normal sequences: of little data, or after little
training, the n-gram knows more.

A sequence that calibrates is scored by the combination of all others where they were drawn at random. In the
order of time sequences come in groups, whose strangest are never strange among the others: there each half is
scored by the combination of the other, and new ones by that of the later half. A tail score says how rare a
value is among so many; were new ones scored by a combination of all, theirs would reach further than any that
calibrates, and at small rates twice as many were flagged.

How the score is made need not be right. The p-value is its rank among those of held-out normal sequences,

    p = (1 + number of held-out scores >= score) / (n + 1)

and P(p <= a) <= a for every a, whatever the model, if the new sequence is exchangeable with them (Vovk,
Gammerman and Shafer 2005). By the scheme "split" it is; the others make more of the same sequences, and that
they keep the rate is measured (docs/concepts.md). Ties count against an alarm, and what differs by less than
float32 makes of another order of reckoning is a tie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from onward.watch.scoring.features import FEATURES

_BEYOND = 0.1
"""What a tail score rises by, at most, beyond the largest value."""

_DECIMALS = 6
"""Of what is kept."""

_AS_LARGE, _AS_STRANGE = 1e-4, 1e-5
"""What a feature, and a score, may be below another and still count as large: they are reckoned in float32,
in another order by who reads one event at a time. Rounding instead would part two at its edges."""

_COUNTS = FEATURES.index("counts")
_APART = [FEATURES.index(name) for name in ("largest", "mean", "total", "burst", "new")]
_MODEL = ("largest", "mean", "burst")
_ALIKE = [FEATURES.index(name) for name in (*_MODEL, "counts", "unseen", "table")]
"""Features of order where counts recur, and all that count where they do not."""

_ALONE = 0.8
"""What one kind of evidence counts for beside two. With less, order that is wrong is hardly flagged at a rate
of 1 %; with more, it costs some of the rest at 0.1 % (corrupted training sequences of HDFS; LOG.md)."""

_TIES = 1e-3
"""Of what decides between sequences that are equally strange else."""


@dataclass(frozen=True)
class Tail:
    """The upper tail of one feature in normal sequences.

    Attributes:
        values: sorted, (n,).
        scale: distance beyond the last of them at which half of `_BEYOND` is reached.
    """

    values: np.ndarray
    scale: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Tail":
        """Of the values that n normal sequences have."""
        ordered = np.sort(np.round(values, _DECIMALS))
        deviation = float(np.std(ordered))
        return cls(ordered, deviation if deviation > _AS_LARGE else 1.0)

    def score(self, values: np.ndarray) -> np.ndarray:
        """-log10 of the share of normal sequences with at least these values, (m,)."""
        return self._scores(self._at_least(values), values - self.values[-1])

    def score_own(self, values: np.ndarray) -> np.ndarray:
        """The same of each of the values that it is made of, among the others, (n,).

        As if one more were there, so that who calibrates is not below who comes later.
        """
        at_least = self._at_least(values) - 1
        largest = np.where(at_least == 0, self.values[max(0, len(self.values) - 2)], self.values[-1])
        return self._scores(at_least, values - largest)

    def _at_least(self, values: np.ndarray) -> np.ndarray:
        return len(self.values) - np.searchsorted(self.values, values - _AS_LARGE, side="left")

    def _scores(self, at_least: np.ndarray, beyond: np.ndarray) -> np.ndarray:
        beyond = np.maximum(0.0, beyond - _AS_LARGE) / self.scale
        return np.log10((len(self.values) + 1.0) / (at_least + 1.0)) + _BEYOND * beyond / (1.0 + beyond)


@dataclass(frozen=True)
class Combination:
    """Several features as one score.

    Attributes:
        tails: of the features, in the order of `FEATURES`.
        sums, peaks: of what the same normal sequences have of both kinds of evidence, and of any.
        trust: bits by the n-gram over those by the model, of the same sequences; 1 at most.
    """

    tails: tuple[Tail, ...]
    sums: Tail
    peaks: Tail
    trust: float

    @classmethod
    def of(cls, features: np.ndarray) -> "Combination":
        """Of the features (n, m) of normal sequences."""
        tails = tuple(Tail.of(column) for column in features.T)
        parts = _own_parts(tails, features)
        model, table = (features[:, FEATURES.index(name)].mean() for name in ("mean", "table"))
        trust = float(np.clip(table / model, 0.0, 1.0)) if model > 0 else 1.0
        return cls(tails, Tail.of(_sums(parts)), Tail.of(_peaks(parts)), trust)

    def score_own(self, features: np.ndarray) -> np.ndarray:
        """Of each of the sequences that it is made of, by the others, (n,).

        Their trust, their share of counts that recur and the deviations are those of all.
        """
        parts = _own_parts(self.tails, features)
        sums, peaks = self.sums.score_own(_sums(parts)), self.peaks.score_own(_peaks(parts))
        return self._score(parts, sums, peaks)

    def parts(self, features: np.ndarray) -> np.ndarray:
        """The tail scores of features (k, m), (k, m)."""
        return _parts(self.tails, features)

    def score(self, features: np.ndarray) -> np.ndarray:
        """Of all features together, (k,), to six decimals."""
        return self._score_of_parts(self.parts(features))

    def least(self, parts: np.ndarray, known: Sequence[int]) -> np.ndarray:
        """What the score is not below, (k,), by the tail scores of those features that are known."""
        return self._score_of_parts(_filled(parts, known))

    def speaks(self, parts: np.ndarray, known: Sequence[int] = range(len(FEATURES))) -> np.ndarray:
        """The place in `FEATURES` of what adds most to each score, (k,), by tail scores as in `least`."""
        weights = np.zeros(len(FEATURES))
        weights[[*_APART, _COUNTS]] += self.recurring
        weights[_ALIKE] += (1 - self.recurring) * self._weights
        return (_filled(parts, known) * weights).argmax(axis=1)

    def _score_of_parts(self, parts: np.ndarray) -> np.ndarray:
        return self._score(parts, self.sums.score(_sums(parts)), self.peaks.score(_peaks(parts)))

    def _score(self, parts: np.ndarray, sums: np.ndarray, peaks: np.ndarray) -> np.ndarray:
        """It grows with each tail score."""
        both, alone = sums, _ALONE * peaks
        apart = np.maximum(both, alone) + _TIES * (both + alone)
        long = parts[:, _ALIKE] * self._weights
        alike = long.max(axis=1) + long.sum(axis=1) / self._weights.sum()
        return np.round(self.recurring * apart + (1 - self.recurring) * alike, _DECIMALS)

    @cached_property
    def _weights(self) -> np.ndarray:
        """Of the features that count where counts do not recur, in the order of `_ALIKE`."""
        return np.array([*[self.trust] * len(_MODEL), *[1.0] * (len(_ALIKE) - len(_MODEL))])

    @cached_property
    def recurring(self) -> float:
        """Share of the normal sequences whose counts are those of another."""
        return float((self.tails[_COUNTS].values == 0).mean())


def _parts(tails: Sequence[Tail], features: np.ndarray) -> np.ndarray:
    return np.stack([tail.score(column) for tail, column in zip(tails, features.T, strict=True)], axis=1)


def _own_parts(tails: Sequence[Tail], features: np.ndarray) -> np.ndarray:
    return np.stack([tail.score_own(own) for tail, own in zip(tails, features.T, strict=True)], axis=1)


def _filled(parts: np.ndarray, known: Sequence[int]) -> np.ndarray:
    """The tail scores of all features, (k, m), where those that are not known are 0."""
    every = np.zeros((len(parts), len(FEATURES)))
    every[:, list(known)] = parts
    return every


def _sums(parts: np.ndarray) -> np.ndarray:
    """The strangest of order and what the counts add to it, (k,)."""
    return parts[:, _APART].max(axis=1) + parts[:, _COUNTS]


def _peaks(parts: np.ndarray) -> np.ndarray:
    """The strangest of all, (k,)."""
    own = parts[:, [*_APART, _COUNTS]]
    return own.max(axis=1) + _TIES * own.sum(axis=1)


@dataclass(frozen=True)
class Calibration:
    """What p-values are ranks among.

    Attributes:
        combination: of the features.
        scores: of held-out normal sequences, sorted, (n,).
        bits_per_event: the mean surprise of normal events.
    """

    combination: Combination
    scores: np.ndarray
    bits_per_event: float

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """Of scores (k,)."""
        at_least = len(self.scores) - np.searchsorted(self.scores, scores - _AS_STRANGE, side="left")
        return (1.0 + at_least) / (len(self.scores) + 1.0)

    def threshold(self, rate: float) -> float:
        """The score beyond which the p-value is at most the rate; infinite where none can be."""
        return highest_allowed(self.scores, rate) + _AS_STRANGE

    @property
    def smallest_rate(self) -> float:
        """The smallest p-value that there is."""
        return 1.0 / (len(self.scores) + 1)

    def to_json(self) -> dict[str, Any]:
        """The calibration as plain values."""
        return {
            "tails": [_tail_json(tail) for tail in self.combination.tails],
            "sums": _tail_json(self.combination.sums),
            "peaks": _tail_json(self.combination.peaks),
            "trust": self.combination.trust,
            "scores": self.scores.tolist(),
            "bits_per_event": self.bits_per_event,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Calibration":
        """The calibration that `to_json` wrote."""
        combination = Combination(
            tuple(map(_tail, data["tails"])), _tail(data["sums"]), _tail(data["peaks"]), data["trust"]
        )
        return cls(combination, np.array(data["scores"], float), data["bits_per_event"])


def _tail_json(tail: Tail) -> dict[str, Any]:
    return {"values": tail.values.tolist(), "scale": tail.scale}


def _tail(data: dict[str, Any]) -> Tail:
    return Tail(np.array(data["values"], float), data["scale"])


def highest_allowed(scores: np.ndarray, rate: float) -> float:
    """The score, of sorted ones (n,), that is passed at most at that rate; infinite where none can be."""
    allowed = int(np.floor(rate * (len(scores) + 1) + 1e-9))
    return float(scores[-allowed]) if allowed else float("inf")


Scheme = Literal["others", "halves", "split"]


def calibrate(features: np.ndarray, bits_per_event: float, scheme: Scheme) -> Calibration:
    """The calibration by the features of held-out normal sequences (n, m).

    Args:
        features: of the sequences, in an order drawn at random; for "halves" in the order of time.
        bits_per_event: the mean of theirs.
        scheme: "others" scores each by the combination of all others; "halves" each half by that of the
            other, for sequences that come in groups; "split" combines the first half and calibrates by the
            second.
    """
    if scheme == "others":
        combination = Combination.of(features)
        return Calibration(combination, np.sort(combination.score_own(features)), bits_per_event)
    earlier, later = np.array_split(features, 2)
    combination = Combination.of(earlier if scheme == "split" else later)
    scores = combination.score(later if scheme == "split" else earlier)
    if scheme == "halves":
        scores = np.concatenate([scores, Combination.of(earlier).score(later)])
    return Calibration(combination, np.sort(scores), bits_per_event)
