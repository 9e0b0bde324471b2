"""An n-gram model that has learned further sequences since the calibration.

The calibration compares new sequences with the scores of the model as it was. New counts change all
probabilities a little, and where many calibration scores are equal, a little is enough to flag a normal
sequence. Therefore an event has the bits of the model before or after, whichever are fewer: learning makes
nothing more surprising.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from onward.data.sequences import Sequences
from onward.watch.scoring.ngram import NgramModel, Runs


class NgramBits(NamedTuple):
    """How surprising N events are.

    Attributes:
        bits: the bits of the events, (N,).
        is_learned: whether the window that ends at the event was learned since, (N,); None if nothing was.
    """

    bits: np.ndarray
    is_learned: np.ndarray | None


@dataclass(frozen=True)
class GrowingNgrams:
    """The n-gram model of the training sequences, and the same with what was learned since.

    Attributes:
        calibrated: the model of the training sequences.
        grown: with the sequences that were learned since; None if there are none.
    """

    calibrated: NgramModel
    grown: NgramModel | None = None

    def score(self, sequences: Sequences) -> NgramBits:
        """Scores the events and the ENDs of sequences, one after the other; N is their number."""
        return self._score(self.calibrated.runs(sequences))

    def score_after(self, before: np.ndarray, ids: np.ndarray) -> NgramBits:
        """Scores single events (N,), given the events before each; see `NgramModel.runs_after`."""
        return self._score(self.calibrated.runs_after(before, ids))

    def _score(self, runs: Runs) -> NgramBits:
        bits = self.calibrated.bits_of(runs)
        if self.grown is None:
            return NgramBits(bits, None)
        is_learned = self.grown.has_windows(runs) & ~self.calibrated.has_windows(runs)
        return NgramBits(np.minimum(bits, self.grown.bits_of(runs)), is_learned)
