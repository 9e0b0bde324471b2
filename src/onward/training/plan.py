"""The length of a run: a number of steps, or minutes that are turned into steps once, early in the run.

The weights depend on the number of steps, but not on the clock. Until the number of steps is known, they do
not depend on it either. So a run with a budget in minutes gives the same bytes as a run with the resulting
number of steps as its budget.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from onward.checks import checked_dataclass
from onward.errors import RecipeError
from onward.training.validation import checked_symbols, reported_symbols

TIMED_STEPS = 40
"""Number of steps after which minutes are turned into a number of steps."""

LEVEL_STEPS = 50
"""Before this step, no learning rate falls and nothing is checked: the number of steps may be unknown."""

FEWEST_TIMED = 3
"""Number of steps that must be timed before minutes are turned into a number of steps."""

CHECKS = 10
"""Number of checks of the held-out loss in a run."""

SECONDS_BETWEEN_CHECKPOINTS = 20.0
SAMPLES_SHARE = 0.02
"""Maximum share of the time that samples may take."""

RESERVE = 0.02
"""Share of a step's time that is added as a reserve, because machines slow down as they get warm."""

MANY_EPOCHS = 4.0
"""Above this many epochs, a model that is large enough to memorise the text begins to overfit."""

LATE, LATE_SECONDS = 0.1, 5.0
"""A run is reported as late if it exceeds its time by more than this share plus this many seconds."""

SECONDS_TO_CLOSE = 2.5
"""Time to save the model, draw its curves and exit Python."""


@checked_dataclass(RecipeError)
class Budget:
    """How long to train: exactly one of minutes, epochs and steps.

    Attributes:
        minutes: duration of the whole run, counted from `started`.
        epochs: passes over the training part of the corpus.
        steps: training steps.
        started: start of the run, on the clock of `time.monotonic`; None: when training starts.
    """

    minutes: Annotated[float, Field(gt=0)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    started: float | None = None

    @model_validator(mode="after")
    def _check_one_is_given(self) -> "Budget":
        given = self.to_json()
        if len(given) != 1:
            only = "only one" if given else "one"
            raise RecipeError(
                f"expected {only} of minutes, epochs and steps, got {', '.join(given) or 'none'}",
                hint="for instance --minutes 5, or minutes=5 in Python",
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """Returns the budget as plain values, without `started`."""
        given = {"minutes": self.minutes, "epochs": self.epochs, "steps": self.steps}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Plan:
    """The length of a run.

    Attributes:
        steps: the number of steps; None: as many as fit before the deadline.
        deadline: end of the run, including the work after its last step, on the clock of `time.monotonic`.
    """

    steps: int | None = None
    deadline: float = math.inf


@dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a run take on this machine.

    Attributes:
        step: making a step.
        checkpoint: writing a checkpoint.
        checked_symbol: scoring a symbol in a check, which scores many lanes at once.
        reported_symbol: scoring a symbol in the report at the end, which scores one lane.
    """

    step: float
    checkpoint: float
    checked_symbol: float
    reported_symbol: float


def is_time_to_plan(step: int, timed: int, seconds_spent: float, seconds_left: float) -> bool:
    """Returns whether to fix the number of steps now.

    The number is fixed after `TIMED_STEPS`, or earlier if a quarter of the time is spent, so that slow models
    meet short budgets.

    Args:
        step: steps so far.
        timed: steps whose duration was measured.
        seconds_spent: time since the first step.
        seconds_left: time until the deadline.
    """
    return timed >= FEWEST_TIMED and (step >= TIMED_STEPS or 3 * seconds_spent >= seconds_left)


def steps_that_fit(*, step: int, seconds: float, costs: Costs, symbols_per_step: float, held_out: int) -> int:
    """Returns the number of steps of a run, from the time that is left.

    The number is at least twice the steps so far. The learning rate did not fall in these steps, and it may
    stay level for at most half of a run (see `level_until`).

    Args:
        step: steps so far.
        seconds: time left for the other steps and everything else.
        costs: the seconds that each part takes.
        symbols_per_step: symbols in a step.
        held_out: size of the held-out text in symbols.
    """
    per_step = costs.step * (1 + RESERVE + SAMPLES_SHARE + costs.checkpoint / SECONDS_BETWEEN_CHECKPOINTS)
    steps = 2 * step
    for _ in range(8):  # the time for checks and report depends on the result; converges quickly
        trained = int(steps * symbols_per_step)
        checks = CHECKS * checked_symbols(held_out, trained) * costs.checked_symbol
        closing = costs.checkpoint + SECONDS_TO_CLOSE
        closing += reported_symbols(held_out, trained) * costs.reported_symbol
        steps = max(2 * step, step + int((seconds - checks - closing) / per_step))
    return steps


def may_overfit(epochs: float, symbols: int, parameters: int, regularisation: float) -> bool:
    """Returns whether the model may overfit.

    It may overfit if there are more than `MANY_EPOCHS`, more parameters than symbols in the text, and no
    regularisation (the sum of dropout and noise is 0).
    """
    return epochs > MANY_EPOCHS and parameters > symbols and not regularisation


def level_until(warm_up: int, steps: int) -> int:
    """Returns the step from which the learning rates fall and the held-out loss is checked."""
    return min(max(warm_up, LEVEL_STEPS), steps // 2)


def is_check_due(step: int, steps: int, warm_up: int) -> bool:
    """Returns whether to check after this step, counted from 1. Checks come after each tenth of the run."""
    return step >= level_until(warm_up, steps) and step * CHECKS // steps > (step - 1) * CHECKS // steps
