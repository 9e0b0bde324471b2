"""A rung of the ladder: its description, its settings and its outcome."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The description of a rung; each rung's file has one as `RUNG`.

    Attributes:
        name: the name for `onward lesson NAME`.
        new: the idea that the rung adds, in one line.
        measure: what the rung's figure measures, with the unit.
        lesson: the figure that the lesson printed, or None.
        target: the largest figure with which the rung counts as reached, or None.
        minutes: approximate run time on two cores.
        text: the corpus to which the figures apply; "" if the rung reads no text.
        threads: number of PyTorch threads. A second thread does not speed up small matrices.
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
    """Settings for running a rung.

    Attributes:
        seed: seed of the initial weights and of the order of examples.
        share: share of the rung's epochs (or steps) to run; below 1 for a quick look.
        pictures: folder for pictures; None draws none.
        report: called with each line of progress.
    """

    seed: int = 0
    share: float = 1.0
    pictures: Path | None = None
    report: Callable[[str], None] = print

    def scaled(self, epochs: int) -> int:
        """Returns the share of a number of epochs, at least one."""
        return max(1, round(epochs * self.share))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a rung.

    Attributes:
        figure: the result, in the rung's measure.
        holds: whether the rung's other checks passed, such as the lesson's three answers.
        held_out: the same measure on held-out data; None if there is none.
        text: the corpus that was used; "" if the rung reads no text.
        details: further results by name, as plain values.
        pictures: the files that were drawn.
    """

    figure: float
    holds: bool = True
    held_out: float | None = None
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    pictures: tuple[Path, ...] = ()
