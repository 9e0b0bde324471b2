"""Keeps the number of incidents as requested while normal behaviour changes.

The calibration assumes that the future resembles the training data. If it does not, normal sequences score
higher, and too many would open incidents. Therefore the threshold follows the stream by online gradient
descent on the quantile loss (adaptive conformal inference: Gibbs and Candes 2021; as a quantile tracker:
Angelopoulos, Candes and Tibshirani 2023):

    threshold += STEP                 with each sequence that opens an incident
    threshold -= STEP * allowed       with each sequence that ends, or with each second

The threshold does not fall below that of the calibration, so a quiet stream does not make the detector more
sensitive. `allowed` is the false-alarm rate, or the number of incidents per second of a budget.

A false-alarm rate is one of normal sequences. Therefore a clear outlier, whose score is more than CLEAR above
the threshold, raises it by a twentieth of a step: it is more likely an anomaly than a sign of changed
behaviour. So a few per cent of anomalies do not make the watch blind, and a change of normal behaviour
is still followed. A budget is one of all incidents, so there all steps are whole.

For every stream, the incidents in n sequences (or seconds) satisfy

    number of incidents <= allowed * n + rise / STEP + 1

where a clear outlier counts as the share of a step by which it raises the threshold, and `rise` is the
distance of the highest score from the threshold of the calibration: each incident raises
the threshold, only the steps down make room for more, and no score is above the highest one.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from onward.stored import Finite, StoredModel
from onward.watch.detector import Detector
from onward.watch.stream.alarm_budget import AlarmBudget

STEP = 1.0
"""How much an incident raises the threshold. Scores are sums of tail scores, which are -log10 of shares."""

CLEAR = 6.0
"""How far above the threshold a clear outlier is. Each feature is then several times as rare as at the
threshold."""

CLEAR_SHARE = 0.05
"""A clear outlier raises the threshold by this share of a step."""

_STRONGLY_RAISED = 3 * STEP
"""Where the threshold is raised so much that the user should know: chance alone rarely leads there."""


@dataclass(frozen=True)
class RateControl:
    """A threshold that follows the stream. It is a value.

    Attributes:
        threshold: the threshold of the calibration.
        allowed: incidents that may open per unit of progress.
        unit: what measures progress: sequences that ended, or seconds of the event clock.
        raised: how much the threshold was raised above that of the calibration after the last incident.
        since: the progress at the last incident.
        told: whether the user knows that the threshold was strongly raised.
    """

    threshold: float
    allowed: float
    unit: Literal["sequences", "seconds"] = "sequences"
    raised: float = 0.0
    since: float = 0.0
    told: bool = False

    @classmethod
    def of(cls, detector: Detector, budget: AlarmBudget | None = None) -> "RateControl":
        """Returns the control for the false-alarm rate of a detector, or for a budget."""
        threshold = detector.calibration.threshold(detector.rate)
        if budget:
            return cls(threshold, budget.per_second, "seconds")
        return cls(threshold, detector.rate)

    def restored(self, data: Any) -> "RateControl":
        """Returns the control that continues from `to_json`; this one if the unit differs.

        Raises:
            ValueError: the data is not the state of a control.
        """
        state = _ControlState.model_validate(data)
        if state.unit != self.unit:
            return self
        return replace(self, raised=state.raised, since=state.since, told=state.told)

    def raised_at(self, progress: float) -> float:
        """Returns how much the threshold is raised by now.

        It is computed from the last incident on, so it does not depend on earlier calls.
        """
        return max(0.0, self.raised - STEP * self.allowed * (progress - self.since))

    def allows(self, score: float, progress: float) -> bool:
        """Whether a sequence that the detector flags may open an incident."""
        raised = self.raised_at(progress)
        return not raised or score > self.threshold + raised

    def after_incident(self, score: float, progress: float) -> "RateControl":
        """Returns the control after a sequence has opened an incident."""
        raised = self.raised_at(progress)
        is_clear = self.unit == "sequences" and score > self.threshold + raised + CLEAR
        step = CLEAR_SHARE * STEP if is_clear else STEP
        return replace(self, raised=raised + step, since=progress)

    def is_strongly_raised(self, progress: float) -> bool:
        """Whether the threshold is raised so much that the user should know."""
        return self.raised_at(progress) >= _STRONGLY_RAISED

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "raised": self.raised, "since": self.since, "told": self.told}


class _ControlState(StoredModel):
    """What `RateControl.to_json` returns."""

    unit: Literal["sequences", "seconds"]
    raised: Annotated[Finite, Field(ge=0)]
    since: Annotated[Finite, Field(ge=0)]
    told: bool
