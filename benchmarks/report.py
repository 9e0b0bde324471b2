"""Writes RESULTS.md and the figures of the README from the newest lines of results/*.jsonl.

python benchmarks/report.py
"""

import ast
import textwrap
from pathlib import Path

from headlines import with_headlines
from questions import SECTIONS
from questions.question import Question, table

HERE = Path(__file__).parent

HEADING = """# Results

Each table answers one question with the figures of the newest run. Its title links to the program
that measured it; the docstring of the program describes the method. [`results/`](results/) has
every run, with its machine and versions. [LOG.md](LOG.md) has the experiments, including those that
did not help.

The machines are shared, and their speed varies by a third: compare figures within a table, not
between tables.

`python benchmarks/report.py` generates this page and the table in the README.
"""


def report() -> str:
    """The whole page."""
    parts = [HEADING]
    for title, questions in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [section(question) for question in questions if question.runs()]
    return "".join(parts)


def section(question: Question) -> str:
    """One question: its program and command, its date and machine, its table."""
    runs = question.runs()
    newest = max(runs, key=lambda run: run["date"])
    lines = [
        f"\n### [{question.title}]({question.name}.py)\n",
        f"`{command(question.name)}`; {newest['date'][:10]}, {newest['machine']}.\n",
        table(question.columns, *question.rows(runs)),
    ]
    return "\n".join([*lines, f"{textwrap.fill(question.note, 100)}\n"] if question.note else lines)


def command(name: str) -> str:
    """The first command that a benchmark's docstring shows."""
    code = (HERE / f"{name}.py").read_text(encoding="utf-8")
    lines = (ast.get_docstring(ast.parse(code)) or "").splitlines()
    return next(line.partition("  #")[0].strip() for line in lines if line.startswith("    "))


def main() -> None:
    (HERE / "RESULTS.md").write_text(report(), encoding="utf-8")
    readme = HERE.parent / "README.md"
    readme.write_text(with_headlines(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
