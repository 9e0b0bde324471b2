"""What a rung of the ladder is: what it says of itself, how it is run, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Rung:
    """What stands about a rung in the ladder; each rung's file has one as `RUNG`.

    Attributes:
        name: what `onward lesson NAME` calls it.
        new: the one idea that it adds, in a line.
        measure: what its figure is, with the unit.
        lesson: what the lesson printed; None where it printed none.
        target: what ours must be; it is reached by a figure that is no greater, if all else holds.
        minutes: it takes on two cores, about.
        text: the corpus that the figures are of, or "" where the rung reads none.
        threads: that PyTorch uses; small matrices only wait for a second one.
    """

    name: str
    new: str
    measure: str
    lesson: str | None
    target: float | None
    minutes: float
    text: str = "nietzsche"
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class LessonSettings:
    """How a rung is run.

    Attributes:
        seed: of weights and order.
        share: of the rung's own number of epochs (or steps) that is run; below 1 for a first look.
        pictures: the folder that pictures go to; None draws none.
        say: takes a line about what happens.
    """

    seed: int = 0
    share: float = 1.0
    pictures: Path | None = None
    say: Callable[[str], None] = print

    def of(self, epochs: int) -> int:
        """So many epochs of the rung's own number, at least one."""
        return max(1, round(epochs * self.share))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a rung found.

    Attributes:
        figure: in the rung's measure.
        holds: whether all else that the rung must show was shown too, such as the lesson's three answers.
        held_out: the same on what was not trained on; None where that has no meaning.
        text: the corpus it is of; "" where the rung reads none.
        details: what else it found, by name, as plain values.
        pictures: the files it drew.
    """

    figure: float
    holds: bool = True
    held_out: float | None = None
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    pictures: tuple[Path, ...] = ()
