"""What lookup tables and an n-gram make of the same sequences: beside every figure of the model stand theirs.

    new_event             events that never occurred
    new_bigram            pairs of events that never occurred, with the begin and the end
    length_range          events fewer than the shortest, or more than the longest normal sequence has
    bigram_or_length      either of the two
    count_vector          distance of the counts from the nearest that occurred
    ngram_largest         bits of the event that a 6-gram with backoff found least probable
    ngram_mean            bits of all its events, by their number

A lookup flags whatever it has not met. The n-gram's thresholds are those of its own scores of held-out normal
sequences at the rate of false alarms that the detector has.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import UNKNOWN
from onward.watch.calibration.conformal import highest_allowed
from onward.watch.scoring.ngram import Grams
from onward.watch.scoring.profile import Profile, counts_of

LOOKUPS = ("new_event", "new_bigram", "length_range", "bigram_or_length", "count_vector")
GRAMS = ("ngram_largest", "ngram_mean")


@dataclass(frozen=True)
class Baselines:
    """The tables of normal sequences.

    Attributes:
        grams: of the n-gram.
        lengths: the shortest and the longest.
        held_out: scores of each n-gram baseline on normal sequences it was not counted on, sorted.
    """

    grams: Grams
    lengths: tuple[int, int]
    held_out: dict[str, np.ndarray]

    @classmethod
    def of(cls, sequences: Sequences, grams: Grams, held_out: dict[str, np.ndarray]) -> "Baselines":
        """Of normal sequences, and their n-grams."""
        lengths = sequences.lengths
        return cls(grams, (int(lengths.min()), int(lengths.max())), held_out)

    def scores(self, sequences: Sequences, profile: Profile) -> dict[str, np.ndarray]:
        """Of each sequence by each baseline; higher is less normal."""
        counts = counts_of(sequences, profile.symbols)
        lengths = sequences.lengths
        known = np.zeros(profile.symbols, bool)
        known[profile.pairs % profile.symbols] = True
        known[UNKNOWN] = False
        outside = np.maximum(0, np.maximum(self.lengths[0] - lengths, lengths - self.lengths[1]))
        new_bigrams = profile.new_in(sequences)
        return {
            "new_event": counts[:, ~known].sum(axis=1).astype(float),
            "new_bigram": new_bigrams.astype(float),
            "length_range": outside.astype(float),
            "bigram_or_length": (new_bigrams + outside).astype(float),
            "count_vector": profile.nearest(counts)[0],
            **gram_scores(self.grams, sequences),
        }

    def threshold(self, name: str, rate: float) -> float:
        """The score above which a baseline flags, by the rule of `Calibration.threshold`."""
        return 0.0 if name in LOOKUPS else highest_allowed(self.held_out[name], rate)

    def to_json(self) -> dict[str, Any]:
        """The tables as plain values."""
        held_out = {name: [float(f"{x:.7g}") for x in scores] for name, scores in self.held_out.items()}
        return {"grams": self.grams.to_json(), "lengths": list(self.lengths), "held_out": held_out}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Baselines":
        """The tables that `to_json` wrote."""
        shortest, longest = data["lengths"]
        held_out = {name: np.array(data["held_out"][name], float) for name in GRAMS}
        return cls(Grams.from_json(data["grams"]), (shortest, longest), held_out)


def gram_scores(grams: Grams, sequences: Sequences) -> dict[str, np.ndarray]:
    """Of each sequence by the baselines of `GRAMS`."""
    return dict(zip(GRAMS, grams.largest_and_mean(sequences), strict=True))
