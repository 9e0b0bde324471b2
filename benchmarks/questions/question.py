"""A question of RESULTS.md: the runs of the benchmark that answers it, and their table."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"

Run = dict[str, Any]
Rows = Iterator[list[str]]


@dataclass(frozen=True)
class Question:
    """One table of the page.

    Attributes:
        name: of the results file, and of the program.
        title: the question in a few words.
        columns: the table's header.
        rows: makes the table's rows from runs.
        kind: the settings that tell runs apart; the newest run of each combination counts.
        note: a sentence below the table.
    """

    name: str
    title: str
    columns: list[str]
    rows: Callable[[list[Run]], Rows]
    kind: tuple[str, ...] = ()
    note: str = ""

    def runs(self) -> list[Run]:
        """The newest run of each kind, in the order of their first appearance."""
        path = RESULTS / f"{self.name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = map(json.loads, lines)
        return [*{tuple(str(run.get(name)) for name in self.kind): run for run in found}.values()]

    def newest(self, **settings: Any) -> Run:
        """The newest run with these settings."""
        return [run for run in self.runs() if settings.items() <= run.items()][-1]


def range_in_percent(runs: list[Run], name: str, digits: int) -> str:
    """The smallest and the largest of a figure, in per cent."""
    values = [100 * run[name] for run in runs]
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def table(columns: list[str], *rows: list[str]) -> str:
    """A Markdown table; columns of figures are aligned right."""
    is_figures = [all(not cell or cell[0].isdigit() for cell in cells) for cells in zip(*rows, strict=True)]
    marks = ["---:" if figures else "---" for figures in is_figures]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, marks, *rows))
