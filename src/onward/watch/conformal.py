"""From features to one p-value that holds: conformal calibration on normal sequences that were held out.

A feature alone is turned into its tail score, -log10 of the share of normal sequences that have as much of it;
beyond the largest that was seen an exponential goes on, with the mean excess of the upper tail as its scale. The
score of a sequence is the largest tail score of its features, where the sum of all of them counts as one more.
How it is made need not be right: the p-value is the rank of the score among those of held-out normal sequences,

    p = (1 + number of held-out scores >= score) / (n + 1)

and P(p <= a) <= a for every a, whatever the model, if the new sequence is exchangeable with them (Vovk, Gammerman
and Shafer 2005). Ties count against an alarm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

_TAIL, _FEWEST = 0.05, 10
"""Share of the values, and their number, that the scale of a tail is the mean excess of."""


@dataclass(frozen=True)
class Tail:
    """The upper tail of one feature in normal sequences.

    Attributes:
        values: sorted, (n,).
        scale: of the exponential beyond the last of them.
    """

    values: np.ndarray
    scale: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Tail":
        """Of the values that n normal sequences have."""
        ordered = np.sort(rounded(values))
        count = min(len(ordered), max(_FEWEST, int(_TAIL * len(ordered))))
        excess = ordered[-count:] - ordered[-count]
        above = excess[excess > 0]
        # one excess more, of the size of the values themselves, for where there are few or none
        usual = float(np.std(ordered)) or 1.0
        return cls(ordered, float((above.sum() + usual) / (len(above) + 1)))

    def score(self, values: np.ndarray) -> np.ndarray:
        """-log10 of the share of normal sequences with at least these values, (m,)."""
        count, values = len(self.values), rounded(values)
        at_least = count - np.searchsorted(self.values, values, side="left")
        beyond = np.maximum(0.0, values - self.values[-1]) / self.scale
        return np.log10(count + 1.0) - np.log10(at_least + 1.0) + beyond * np.log10(np.e)


@dataclass(frozen=True)
class Combination:
    """Several features as one score.

    Attributes:
        tails: of the features.
        together: of the sum of their scores.
    """

    tails: tuple[Tail, ...]
    together: Tail

    @classmethod
    def of(cls, features: np.ndarray) -> "Combination":
        """Of the features (n, m) of normal sequences."""
        tails = tuple(Tail.of(column) for column in features.T)
        scores = np.stack(
            [tail.score(column) for tail, column in zip(tails, features.T, strict=True)], axis=1
        )
        return cls(tails, Tail.of(scores.sum(axis=1)))

    def parts(self, features: np.ndarray) -> np.ndarray:
        """The tail scores of features (k, m), and that of their sum as the last, (k, m + 1)."""
        scores = np.stack(
            [tail.score(column) for tail, column in zip(self.tails, features.T, strict=True)], axis=1
        )
        return np.concatenate([scores, self.together.score(scores.sum(axis=1))[:, None]], axis=1)

    def score(self, features: np.ndarray) -> np.ndarray:
        """The largest of them, (k,), to six decimals."""
        return rounded(self.parts(features).max(axis=1))


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
        at_least = len(self.scores) - np.searchsorted(self.scores, scores, side="left")
        return (1.0 + at_least) / (len(self.scores) + 1.0)

    def threshold(self, rate: float) -> float:
        """The score beyond which the p-value is at most the rate; infinite where none can be."""
        allowed = int(np.floor(rate * (len(self.scores) + 1) + 1e-9))
        return float(self.scores[-allowed]) if allowed else float("inf")

    @property
    def smallest_rate(self) -> float:
        """The smallest p-value that there is."""
        return 1.0 / (len(self.scores) + 1)

    def to_json(self) -> dict[str, Any]:
        """The calibration as plain values."""
        return {
            "tails": [_tail_json(tail) for tail in (*self.combination.tails, self.combination.together)],
            "scores": self.scores.tolist(),
            "bits_per_event": self.bits_per_event,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Calibration":
        """The calibration that `to_json` wrote."""
        *tails, together = (Tail(np.array(t["values"], float), t["scale"]) for t in data["tails"])
        scores = np.array(data["scores"], float)
        return cls(Combination(tuple(tails), together), scores, data["bits_per_event"])


def _tail_json(tail: Tail) -> dict[str, Any]:
    return {"values": tail.values.tolist(), "scale": tail.scale}


def calibrate(features: np.ndarray, bits_per_event: float, *, cross: bool) -> Calibration:
    """The calibration by the features of held-out normal sequences (n, m), in an order drawn at random.

    Args:
        features: of the sequences.
        bits_per_event: the mean of theirs.
        cross: score each half by the combination of the other, and keep all; otherwise the first half
            combines, and the second calibrates.
    """
    first, second = Combination.of(features[::2]), Combination.of(features[1::2])
    scores = [first.score(features[1::2])]
    if cross:
        scores.append(second.score(features[::2]))
        first = Combination.of(features)
    return Calibration(first, np.sort(np.concatenate(scores)), bits_per_event)


def rounded(values: np.ndarray) -> np.ndarray:
    """To about seven digits, so that a score reckoned in another order is still as large as itself."""
    return np.round(values, 6)
