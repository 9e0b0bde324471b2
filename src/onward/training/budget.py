"""How long to train, as the user says it."""

import math
from dataclasses import dataclass
from typing import Any

from onward.errors import RecipeError


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
