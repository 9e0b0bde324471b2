"""An n-gram model that has learned further sequences since the calibration.

The calibration compares new sequences with the scores of the model as it was. New counts change all
probabilities a little, and where many calibration scores are equal, a little is enough to flag a normal
sequence. Therefore an event has the bits of the model before or after, whichever are fewer: learning makes
nothing more surprising.
"""

from dataclasses import dataclass

import numpy as np

from onward.data.sequences import Sequences
from onward.watch.scoring.ngram import NgramModel


@dataclass(frozen=True)
class GrowingNgrams:
    """The n-gram model of the training sequences, and the same with what was learned since.

    Attributes:
        calibrated: the model of the training sequences.
        grown: with what was learned since; None: nothing was.
    """

    calibrated: NgramModel
    grown: NgramModel | None = None

    def bits(self, sequences: Sequences) -> np.ndarray:
        """Returns the bits of the events of sequences; see `NgramModel.bits`."""
        bits = self.calibrated.bits(sequences)
        return np.minimum(bits, self.grown.bits(sequences)) if self.grown else bits

    def bits_after(self, before: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Returns the bits of single events; see `NgramModel.bits_after`."""
        bits = self.calibrated.bits_after(before, ids)
        return np.minimum(bits, self.grown.bits_after(before, ids)) if self.grown else bits

    def has_learned(self, sequences: Sequences) -> np.ndarray | None:
        """Returns whether the window that ends at each event, or END, was learned since, (N + n,); None if
        nothing was.
        """
        if self.grown is None:
            return None
        return self.grown.has_windows(sequences) & ~self.calibrated.has_windows(sequences)

    def has_learned_after(self, before: np.ndarray, ids: np.ndarray) -> np.ndarray | None:
        """Returns `has_learned` of single events (n,), given the events before each."""
        if self.grown is None:
            return None
        return self.grown.has_windows_after(before, ids) & ~self.calibrated.has_windows_after(before, ids)
