"""How long a run goes on: steps, or minutes that are turned into steps once, early.

Whatever decides a weight depends on the number of steps alone, and on nothing before that number is known.
So a run of so many minutes is the same, to the byte, as one of the number of steps that it came to.
"""

import math
from dataclasses import dataclass
from typing import Any

from onward.errors import RecipeError
from onward.training.validation import checked_symbols, reported_symbols

TIMED_STEPS = 40
"""Steps after which the minutes are turned into a number of steps."""

LEVEL_STEPS = 50
"""Before so many steps no rate falls and nothing is checked: the number of steps may not be known yet."""

FEWEST_TIMED = 3
CHECKS = 10
"""How often the held-out tail is looked at in a run."""

SECONDS_BETWEEN_CHECKPOINTS = 20.0
SAMPLES_SHARE = 0.02
"""Of the time, at most, that samples take."""

RESERVE = 0.02
"""Of the time of a step: machines get slower as they get warm, and early is better than late."""

OFTEN = 4.0
"""Passes over a text, after which a model that could hold it begins to learn it by heart."""

LATE, LATE_SECONDS = 0.1, 5.0
"""Of its time, and besides, by which a run may be late before that is told."""

SECONDS_TO_CLOSE = 2.5
"""What saving the model and drawing its curves take, and Python's end."""


@dataclass(frozen=True)
class Plan:
    """How long.

    Attributes:
        steps: fixed beforehand, or None: as many as end before the deadline.
        deadline: on the clock of `time.monotonic`, of the run with everything that comes after its last step.
    """

    steps: int | None = None
    deadline: float = math.inf


@dataclass(frozen=True)
class Costs:
    """What the parts of a run take on this machine, in seconds.

    Attributes:
        step: one step.
        checkpoint: writing one.
        checked_symbol: one symbol of a check, in many lanes.
        reported_symbol: one symbol of the report at the end, in one lane.
    """

    step: float
    checkpoint: float
    checked_symbol: float
    reported_symbol: float


def is_time_to_fix(step: int, timed: int, seconds_spent: float, seconds_left: float) -> bool:
    """Whether the number of steps should be settled now.

    After `TIMED_STEPS`; earlier where a quarter of the time is gone, so that slow models keep short budgets.
    """
    return timed >= FEWEST_TIMED and (step >= TIMED_STEPS or 3 * seconds_spent >= seconds_left)


def steps_that_fit(*, step: int, seconds: float, costs: Costs, symbols_per_step: float, tail: int) -> int:
    """The number of steps of a run that stands at `step` and has so many seconds left.

    At least twice the steps made: a rate that had not begun to fall when the number was unknown must not have
    been supposed to (see `optimiser.rate_share`).

    Args:
        step: steps made.
        seconds: left, for the other steps and for all else.
        costs: of the parts.
        symbols_per_step: symbols that a step trains on.
        tail: symbols of the held-out tail.
    """
    per_step = costs.step * (1 + RESERVE + SAMPLES_SHARE + costs.checkpoint / SECONDS_BETWEEN_CHECKPOINTS)
    steps = 2 * step
    for _ in range(8):  # what the checks and the report take depends on the answer; this converges at once
        trained = int(steps * symbols_per_step)
        checks = CHECKS * checked_symbols(tail, trained) * costs.checked_symbol
        closing = costs.checkpoint + SECONDS_TO_CLOSE
        closing += reported_symbols(tail, trained) * costs.reported_symbol
        steps = max(2 * step, step + int((seconds - checks - closing) / per_step))
    return steps


def is_read_often(times: float, symbols: int, parameters: int, disturbed: float) -> bool:
    """Whether a text may be learned by heart.

    It is read more than `OFTEN` times, by a model of more parameters than it has symbols, and `disturbed` is
    0: the recipe has neither dropout nor noise.
    """
    return times > OFTEN and parameters > symbols and not disturbed


def level_until(warm_up: int, steps: int) -> int:
    """The step from which on the rates fall and the tail is checked."""
    return min(max(warm_up, LEVEL_STEPS), steps // 2)


def is_check_due(step: int, steps: int, warm_up: int) -> bool:
    """Whether a check falls behind this step, counted from 1: each tenth of the run, and its last step."""
    return step >= level_until(warm_up, steps) and step * CHECKS // steps > (step - 1) * CHECKS // steps


@dataclass(frozen=True)
class Budget:
    """How long to train: exactly one of the three.

    Attributes:
        minutes: of the run with all that belongs to it, from `started` on.
        epochs: passes over the training part of the corpus.
        steps: steps.
        started: when the run began, on the clock of `time.monotonic`; None: when it is asked for.
    """

    minutes: float | int | None = None
    epochs: float | int | None = None
    steps: int | None = None
    started: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The one that is given, by its name."""
        given = {"minutes": self.minutes, "epochs": self.epochs, "steps": self.steps}
        return {name: value for name, value in given.items() if value is not None}

    def __post_init__(self) -> None:
        """Refuses none, several, or nothing to do."""
        given = {name: getattr(self, name) for name in ("minutes", "epochs", "steps")}
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) != 1:
            raise RecipeError(
                f"expected one of minutes, epochs and steps, got {', '.join(chosen) or 'none'}",
                hint="for instance 5 minutes: --minutes 5, in Python minutes=5",
            )
        for name, value in chosen.items():
            kind = int if name == "steps" else int | float
            typed = isinstance(value, kind) and not isinstance(value, bool)
            if not typed or not value > 0 or not math.isfinite(value):
                expected = "a whole number" if name == "steps" else "a number"
                raise RecipeError(f"{name} must be {expected} above zero, got {value!r}")
