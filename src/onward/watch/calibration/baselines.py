"""Baselines: lookup tables and an n-gram, which are evaluated beside the model.

    new_event             number of events that never occurred in training
    new_bigram            number of pairs of events that never occurred, begin and end included
    length_range          number of events below the shortest, or above the longest, normal sequence
    bigram_or_length      the sum of the two above
    count_vector          distance of the event counts from the nearest counts that occurred
    ngram_largest         bits of the event that a 10-gram with backoff found least likely
    ngram_mean            mean bits per event by the same 10-gram
    stide                 share of windows of six events that never occurred (Forrest et al. 1996)

The first five flag every sequence whose score is above 0. The thresholds of the others come from their
scores of held-out normal sequences, at the detector's rate of false alarms.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import UNKNOWN
from onward.stored import AsTuple, Count, StoredModel
from onward.watch.calibration.conformal import threshold_of
from onward.watch.scoring.growing_ngrams import GrowingNgrams
from onward.watch.scoring.header_types import SortedFloats
from onward.watch.scoring.ngram import NgramModel
from onward.watch.scoring.profile import Profile, counts_of
from onward.watch.scoring.surprise import Surprise

LOOKUPS = ("new_event", "new_bigram", "length_range", "bigram_or_length", "count_vector")
NGRAM_BASELINES = ("ngram_largest", "ngram_mean", "stide")


@dataclass(frozen=True)
class Baselines:
    """The baselines of a detector, made from its training sequences.

    Attributes:
        ngrams: the n-gram model.
        lengths: the lengths of the shortest and of the longest sequence.
        held_out: scores of each n-gram baseline on held-out normal sequences, sorted.
        grown: the n-gram model with the sequences that were learned after the calibration; None if there are
            none.
    """

    ngrams: NgramModel
    lengths: tuple[int, int]
    held_out: dict[str, np.ndarray]
    grown: NgramModel | None = None

    @classmethod
    def of(cls, sequences: Sequences, ngrams: NgramModel, held_out: dict[str, np.ndarray]) -> "Baselines":
        """Returns the baselines of normal sequences and their n-gram model."""
        lengths = sequences.lengths
        return cls(ngrams, (int(lengths.min()), int(lengths.max())), held_out)

    @property
    def growing_ngrams(self) -> GrowingNgrams:
        """The n-gram model with and without the sequences that were learned after the calibration."""
        return GrowingNgrams(self.ngrams, self.grown)

    @property
    def events(self) -> int:
        """The number of events that were learned, the ENDs included."""
        return (self.grown or self.ngrams).events

    def extend(self, sequences: Sequences, *, ended: bool = True, times: int = 1) -> "Baselines":
        """Returns the baselines with further normal sequences, at least one; see `NgramModel.extend`.

        The n-gram model that is a baseline stays.
        """
        shortest, longest = self.lengths
        if ended:
            shortest, longest = min(shortest, *sequences.lengths), max(longest, *sequences.lengths)
        lengths = int(shortest), int(longest)
        grown = (self.grown or self.ngrams).extend(sequences, ended=ended, times=times)
        return replace(self, grown=grown, lengths=lengths)

    def scores(self, sequences: Sequences, profile: Profile) -> dict[str, np.ndarray]:
        """Returns the scores of each baseline, (n,); higher is less normal."""
        counts = counts_of(sequences, profile.symbols)
        lengths = sequences.lengths
        known = np.zeros(profile.symbols, bool)
        known[profile.pairs % profile.symbols] = True
        known[UNKNOWN] = False
        outside = np.maximum(0, np.maximum(self.lengths[0] - lengths, lengths - self.lengths[1]))
        new_bigrams = profile.count_new(sequences)
        return {
            "new_event": counts[:, ~known].sum(axis=1).astype(float),
            "new_bigram": new_bigrams.astype(float),
            "length_range": outside.astype(float),
            "bigram_or_length": (new_bigrams + outside).astype(float),
            "count_vector": profile.nearest(counts)[0],
            **ngram_scores(self.ngrams, sequences),
        }

    def threshold(self, name: str, rate: float) -> float:
        """Returns the score above which a baseline flags, by the rule of `Calibration.threshold`."""
        return 0.0 if name in LOOKUPS else threshold_of(self.held_out[name], rate)

    def to_json(self) -> dict[str, Any]:
        """Returns the baselines as JSON values; held-out scores have seven significant digits."""
        held_out = {name: [float(f"{x:.7g}") for x in scores] for name, scores in self.held_out.items()}
        return {
            "grams": self.ngrams.to_json(),
            "lengths": list(self.lengths),
            "held_out": held_out,
            "grown": self.grown.to_json() if self.grown else None,
        }

    @classmethod
    def from_json(cls, data: Any, symbols: int) -> "Baselines":
        """Returns the baselines that `to_json` wrote for a vocabulary of `symbols` ids.

        Raises:
            ValueError: the data does not describe baselines for these symbols.
        """
        header = _BaselinesHeader.model_validate(data)
        if header.lengths[0] > header.lengths[1]:
            raise ValueError(f"expected the shortest length before the longest, found {header.lengths}")
        held_out = {name: getattr(header.held_out, name) for name in NGRAM_BASELINES}
        grown = NgramModel.from_json(header.grown, symbols) if header.grown else None
        return cls(NgramModel.from_json(header.grams, symbols), header.lengths, held_out, grown)


class _HeldOutHeader(StoredModel):
    ngram_largest: SortedFloats
    ngram_mean: SortedFloats
    stide: SortedFloats


class _BaselinesHeader(StoredModel):
    grams: dict[str, Any]
    lengths: Annotated[tuple[Count, Count], AsTuple]
    held_out: _HeldOutHeader
    grown: dict[str, Any] | None


def ngram_scores(ngrams: NgramModel, sequences: Sequences) -> dict[str, np.ndarray]:
    """Returns the scores of each baseline in `NGRAM_BASELINES`, (n,)."""
    lengths = sequences.lengths + 1
    surprise = Surprise.of(ngrams.bits(sequences), lengths)
    found = surprise.tops[:, 0], surprise.totals / lengths, ngrams.unseen_windows(sequences)
    return dict(zip(NGRAM_BASELINES, found, strict=True))
