"""The clock of a run with a budget in minutes: decides how many steps still fit before the deadline."""

import math
import statistics
import time
from collections import deque

from onward.training.schedule import Schedule

SECONDS_TO_EXIT = 1.5
"""Time to save the model, draw its curves and exit Python."""

_TIMED = 15
"""The duration of a step is the median over this many recent steps."""

_FEWEST_TIMED = 3
"""Number of steps to time before the first plan: the first step also allocates memory."""

_TOLERANCE = 0.05
"""The plan changes if the remaining steps differ from it by more than this share."""

_SHARE_BETWEEN_PLANS = 0.01
"""Minimum progress from one plan to the next."""


class RunClock:
    """Times the steps of a run, and revises its schedule so that it ends at the deadline.

    Args:
        deadline: end of the run, including the work after its last step, on the clock of `time.monotonic`;
            infinity for a run with a fixed number of steps.
        most_steps: the most steps that the run makes, even if there is time for more.
    """

    def __init__(self, deadline: float, most_steps: float = math.inf) -> None:
        self._deadline, self._most_steps = deadline, most_steps
        self._durations: deque[float] = deque(maxlen=_TIMED)

    @property
    def has_deadline(self) -> bool:
        """Whether the run has a budget in minutes."""
        return self._deadline < math.inf

    def record(self, seconds: float) -> None:
        """Adds the duration of a step."""
        self._durations.append(seconds)

    @property
    def seconds_per_step(self) -> float:
        """Median duration of the recent steps."""
        return statistics.median(self._durations)

    def revise(self, schedule: Schedule, step: int, seconds_to_close: float) -> Schedule:
        """Returns the schedule after a step: the same one, or one with a new plan.

        Args:
            schedule: the schedule so far.
            step: number of steps so far.
            seconds_to_close: duration of the work after the last step, without saving the model.
        """
        if not self.has_deadline:
            return schedule
        seconds = self._deadline - time.monotonic() - seconds_to_close - SECONDS_TO_EXIT
        left = max(0, math.floor(min(seconds / self.seconds_per_step, self._most_steps - step)))
        if schedule.steps is None:
            is_slow = left < _FEWEST_TIMED
            return schedule.revised(step, step + left) if step >= _FEWEST_TIMED or is_slow else schedule
        planned = schedule.steps - step
        is_wrong = abs(left - planned) > max(1, _TOLERANCE * max(left, planned))
        since = schedule.progress(step) - schedule.progress(schedule.plans[-1][0])
        if is_wrong and (left == 0 or since >= _SHARE_BETWEEN_PLANS):
            return schedule.revised(step, step + left)
        return schedule
