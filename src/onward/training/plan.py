"""The length of a run, and when its held-out loss is checked."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, model_validator

from onward.checks import checked_dataclass
from onward.errors import RecipeError
from onward.training.schedule import Schedule

CHECKS = 10
"""Number of checks of the held-out loss in a run."""

SECONDS_BETWEEN_CHECKPOINTS = 20.0
SAMPLES_SHARE = 0.02
"""Maximum share of the time that samples may take."""

MANY_EPOCHS = 4.0
"""Above this many epochs, a model that is large enough to memorise the text begins to overfit."""


@checked_dataclass(RecipeError)
class Budget:
    """How long to train: exactly one of minutes, epochs and steps.

    Attributes:
        minutes: duration of the whole run, counted from `started`.
        epochs: passes over the training part of the corpus.
        steps: number of training steps, or the schedule of a timed run as text, which repeats that run.
        started: start of the run, on the clock of `time.monotonic`; None: when training starts.
    """

    minutes: Annotated[float, Field(gt=0)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    steps: Annotated[int, Field(gt=0)] | str | None = None
    started: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "Budget":
        given = self.to_json()
        if len(given) != 1:
            only = "only one" if given else "one"
            raise RecipeError(
                f"expected {only} of minutes, epochs and steps, got {', '.join(given) or 'none'}",
                hint="for instance --minutes 5, or minutes=5 in Python",
            )
        if self.steps is not None:
            Schedule.parse(str(self.steps))
        return self

    def to_json(self) -> dict[str, Any]:
        """Returns the budget as plain values, without `started`."""
        steps = None if self.steps is None else str(self.steps)
        given = {"minutes": self.minutes, "epochs": self.epochs, "steps": steps}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Plan:
    """The length of a run.

    Attributes:
        schedule: the schedule of the run; empty at the start of a run with a deadline.
        deadline: end of the run, including the work after its last step, on the clock of `time.monotonic`.
            The schedule is revised so that the run ends then.
        most_steps: the most steps that a run with a deadline makes; it then ends before the deadline.
    """

    schedule: Schedule = field(default_factory=Schedule)
    deadline: float = math.inf
    most_steps: float = math.inf

    @classmethod
    def of(cls, steps: int) -> "Plan":
        """Returns the plan of a run with a fixed number of steps."""
        return cls(Schedule.of(steps))


def may_overfit(epochs: float, symbols: int, parameters: int, regularisation: float) -> bool:
    """Returns whether the model may overfit.

    It may overfit if there are more than `MANY_EPOCHS`, more parameters than symbols in the text, and no
    regularisation (the sum of dropout and noise is 0).
    """
    return epochs > MANY_EPOCHS and parameters > symbols and not regularisation


def is_check_due(schedule: Schedule, step: int) -> bool:
    """Returns whether to check after this step, counted from 1. Checks come after each tenth of the run."""
    return int(schedule.progress(step) * CHECKS) > int(schedule.progress(step - 1) * CHECKS)
