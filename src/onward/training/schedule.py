"""The schedule of a run: the share of the run that is over after a number of steps.

Learning rates and checks follow this share. For a budget in steps it grows evenly. For a budget in minutes it
follows the clock: whenever the speed of the machine changes, the run gets a new plan. The plans are part of
the model file, so that the run can be repeated without the clock, to the byte.
"""

from dataclasses import dataclass
from itertools import pairwise

from onward.errors import RecipeError

_EXAMPLE = "for instance 2000, or the schedule of a timed run, such as 3:2140,700:1900"


@dataclass(frozen=True)
class Schedule:
    """The progress of a run as a function of its steps: piecewise linear, from 0 to 1.

    Attributes:
        plans: pairs of a step and a total number of steps, ordered by step. From that step on, the progress
            grows evenly so that it reaches 1 after the total. Before the first plan, the progress is 0.
    """

    plans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, steps: int) -> "Schedule":
        """Returns the schedule of a run with a fixed number of steps."""
        return cls(((0, steps),))

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Returns the schedule that `str` wrote as this text.

        Raises:
            RecipeError: the text is not a schedule.
        """
        try:
            plans = tuple(_parse_plan(part) for part in text.split(","))
        except ValueError as error:
            raise RecipeError(f"expected a number of steps, got {text!r}", hint=_EXAMPLE) from error
        in_order = all(before[0] < after[0] <= before[1] for before, after in pairwise(plans))
        if not (in_order and all(0 <= step <= steps and steps > 0 for step, steps in plans)):
            raise RecipeError(
                "expected a number of steps above 0, or increasing steps, each below the number of steps "
                f"after its colon, got {text!r}",
                hint=_EXAMPLE,
            )
        return cls(plans)

    def __str__(self) -> str:
        """Returns a text such as "2000", or "3:2140,700:1900": from step 700 on, 1,900 steps in all."""
        return ",".join(f"{step}:{steps}" if step else str(steps) for step, steps in self.plans)

    @property
    def steps(self) -> int | None:
        """The total number of steps by the last plan; None before the first plan."""
        return self.plans[-1][1] if self.plans else None

    def progress(self, step: int) -> float:
        """Returns the share of the run that is over after that many steps."""
        if self.plans and step >= self.plans[-1][1]:
            return 1.0
        done = 0.0
        ends = [start for start, _ in self.plans[1:]] + [step]
        for (start, steps), end in zip(self.plans, ends, strict=False):
            until = min(step, end)
            if until > start:
                done += (1 - done) * (until - start) / (steps - start)
        return done

    def revised(self, step: int, steps: int) -> "Schedule":
        """Returns the schedule with a new plan: from `step` on, `steps` in all."""
        return Schedule((*(plan for plan in self.plans if plan[0] < step), (step, steps)))


def _parse_plan(text: str) -> tuple[int, int]:
    step, colon, steps = text.partition(":")
    return (int(step), int(steps)) if colon else (0, int(step))
