"""Keeps the share of flagged sequences at the requested rate while what is normal changes.

The calibration assumes that the future resembles the training data. If it does not, normal sequences score
higher, and too many are flagged. Therefore the threshold follows the stream by online gradient descent on the
quantile loss (adaptive conformal inference: Gibbs and Candes 2021; as a quantile tracker: Angelopoulos et al.
2023):

    threshold += STEP * (1 - rate)   after a flagged sequence
    threshold -= STEP * rate         after any other sequence, but not below that of the calibration

Whatever the stream is, at most `rate * n + rise / STEP + 1` of n sequences are flagged, where `rise` is the
distance of the highest score from the threshold of the calibration: each flagged sequence raises the threshold
by STEP, and only the steps down make room for more. The threshold does not fall below that of the
calibration, so a quiet stream does not make the detector more sensitive.
"""

from dataclasses import dataclass, replace

STEP = 0.2
"""How much a flagged sequence raises the threshold. Scores are sums of tail scores, which are -log10 of shares:
with 0.2, a feature of the next flagged sequence must be 1.6 times as rare."""


@dataclass(frozen=True)
class RateControl:
    """A threshold that follows the stream. It is a value.

    Attributes:
        threshold: the threshold of the calibration.
        rate: the requested rate.
        raised: how much the threshold is raised above that of the calibration.
    """

    threshold: float
    rate: float
    raised: float = 0.0

    def is_flagged(self, score: float) -> bool:
        """Whether a score is above the threshold."""
        return score > self.threshold + self.raised

    def after(self, *, flagged: bool) -> "RateControl":
        """Returns the threshold after one more sequence."""
        return replace(self, raised=max(0.0, self.raised + STEP * (flagged - self.rate)))
