"""A budget of incidents, such as 3/day."""

import re
from dataclasses import dataclass

from onward.errors import InputError

_SECONDS = {"hour": 3600, "day": 86_400, "week": 604_800}


@dataclass(frozen=True)
class AlarmBudget:
    """A number of incidents per time.

    Attributes:
        incidents: the number of incidents, above 0.
        unit: the time: "hour", "day" or "week".
    """

    incidents: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "AlarmBudget":
        """Returns the budget that is written as 3/day, 0.5/hour or 10/week.

        Raises:
            InputError: the text is not a budget.
        """
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*/\s*(hour|day|week)", text.strip())
        if found is None or not float(found[1]):
            raise InputError(
                f"expected a number of incidents per hour, day or week, got {text!r}",
                hint="write it as 3/day, 0.5/hour or 10/week",
            )
        return cls(float(found[1]), found[2])

    @property
    def per_second(self) -> float:
        """Incidents per second."""
        return self.incidents / _SECONDS[self.unit]

    def shared(self, partitions: int) -> "AlarmBudget":
        """Returns the share of one of some partitions."""
        return AlarmBudget(self.incidents / partitions, self.unit)

    def __str__(self) -> str:
        return f"{self.incidents:g}/{self.unit}"
