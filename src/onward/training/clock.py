"""The clock of a run: how long steps take, how many fit into the budget, and whether the run is late."""

import statistics
import time
from collections import deque

from onward.training.plan import (
    LATE,
    LATE_SECONDS,
    SECONDS_TO_CLOSE,
    Costs,
    Plan,
    is_time_to_plan,
    steps_that_fit,
)
from onward.training.trainer import Trainer

_TIMED = 30
"""The duration of a step is the median over this many recent steps."""


class RunClock:
    """Times the steps of a run and compares them with its plan.

    Args:
        plan: the length of the run, which starts now.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._durations: deque[float] = deque(maxlen=_TIMED)
        self._started = time.monotonic()
        self._is_late = False

    def record(self, seconds: float) -> None:
        """Adds the duration of a step."""
        self._durations.append(seconds)

    @property
    def seconds_per_step(self) -> float:
        """Median duration of the recent steps."""
        return statistics.median(self._durations)

    def is_time_to_plan(self, step: int) -> bool:
        """Returns whether the number of steps should be fixed after this step."""
        now = time.monotonic()
        left = self._plan.deadline - now - SECONDS_TO_CLOSE
        return is_time_to_plan(step, len(self._durations), now - self._started, left)

    def planned_steps(self, trainer: Trainer, costs: Costs, held_out: int) -> int:
        """Returns the number of steps that fit before the deadline (see `plan.steps_that_fit`)."""
        return steps_that_fit(
            step=trainer.step,
            seconds=self._plan.deadline - time.monotonic(),
            costs=costs,
            symbols_per_step=trainer.symbols / trainer.step,
            held_out=held_out,
        )

    def overtime(self, seconds_left: float) -> float | None:
        """Returns the seconds by which the run will miss its deadline, or None.

        Only the first considerable delay is returned, so that the user is warned once.

        Args:
            seconds_left: estimated time until the last step.
        """
        late = time.monotonic() + seconds_left + SECONDS_TO_CLOSE - self._plan.deadline
        if self._is_late or late <= LATE * (self._plan.deadline - self._started) + LATE_SECONDS:
            return None
        self._is_late = True
        return late
