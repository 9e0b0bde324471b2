"""Writes RESULTS.md from results/*.jsonl: of each question the last result of each kind.

    python benchmarks/report.py

A benchmark of the name of the results states its question in the first line of its file, and how it is run
below.
"""

import ast
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KINDS = {
    "text_budget": ("corpus", "minutes", "recipe"),
    "corpus_2gb": ("gigabytes", "symbols"),
    "write_memory": ("layer", "samples"),
    "score_lanes": ("text", "layer"),
    "resume_sigkill": ("settings", "threads"),
    "write_speed": ("layer", "parameters"),
    "start_up": (),
    "training_step": ("recipe",),
    "score_speed": ("layer", "parameters"),
}
"""What tells the results of one question apart; of those that agree in it the last counts."""

ABOUT = ("date", "machine", "versions")


def report() -> str:
    """The whole page."""
    parts = [
        "# Results\n",
        "Written by `python benchmarks/report.py` from the JSON lines in `results/`; the command above each",
        "figure measured it. The machines are shared, and their speed drifts by a third: compare within a",
        "run, not between runs.\n",
    ]
    for path in sorted((HERE / "results").glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        parts += section(path.stem, lines)
    return "\n".join(parts) + "\n"


def section(question: str, lines: list[dict[str, Any]]) -> list[str]:
    """One question: its title, how it is asked, and the table of its last results."""
    doc = ast.get_docstring(ast.parse((HERE / f"{question}.py").read_text(encoding="utf-8"))) or question
    title, _, rest = doc.partition("\n")
    last = {tuple(str(line.get(name)) for name in KINDS.get(question, ())): line for line in lines}
    parts = [f"## {title}\n", rest.strip() + "\n"]
    for line in last.values():
        versions = ", ".join(f"{name} {version}" for name, version in line["versions"].items())
        parts += [f"{line['date'][:10]}, {line['machine']}, {versions}:\n", "| | |", "|---|---|"]
        parts += [f"| {name} | {value} |" for name, value in flat(line)]
        parts.append("")
    return parts


def flat(figures: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested figures as rows of name and value."""
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        label = f"{before}{name.replace('_', ' ')}"
        if not before and name in ABOUT:
            continue
        if isinstance(value, dict):
            rows += flat(value, f"{label}: ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for entry in value:
                first, *others = entry.items()
                rows += flat(dict(others), f"{label}, {first[0]} {first[1]}: ")
        else:
            rows.append((label, f"{value:,}" if isinstance(value, int | float) else f"{value}"))
    return rows


if __name__ == "__main__":
    (HERE / "RESULTS.md").write_text(report(), encoding="utf-8")
