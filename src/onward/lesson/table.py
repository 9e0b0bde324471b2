"""Formats the figures of all rungs as Markdown, for the page docs/lesson/RESULTS.md."""

import datetime
import importlib.metadata
import platform
from collections.abc import Iterator
from typing import Any

HEADER = ("rung", "measure", "the lesson", "target (at most)", "ours", "held out", "seconds")
MARKS = {True: " ✓", False: " ✗", None: ""}
PACKAGES = ("onward", "torch", "numpy")
FENCE = "```"


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Returns a table of all rungs, followed by the details of each."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    made = f"{datetime.date.today()}, {versions}, Python {platform.python_version()}, {platform.machine()}"
    seconds = sum(row["seconds"] for row in rows)
    parts = ["# Results of the rungs", f"{made}; {seconds / 60:.0f} minutes in total.", _figures(rows)]
    for row in rows:
        if row["details"]:
            parts += [f"## `{row['rung']}`", *_details(row["details"])]
    return "\n\n".join(parts) + "\n"


def _figures(rows: list[dict[str, Any]]) -> str:
    cells = [
        (
            f"`{row['rung']}`",
            row["measure"],
            row["lesson"] or "",
            "" if row["target"] is None else f"{row['target']:g}",
            "not run" if row["figure"] is None else f"**{row['figure']:.4g}**{MARKS[row['reached']]}",
            "" if row["held_out"] is None else f"{row['held_out']:.4g}",
            f"{row['seconds']:.0f}",
        )
        for row in rows
    ]
    return _table(HEADER, cells)


def _details(details: dict[str, Any]) -> Iterator[str]:
    """Yields single values as a list, nested values as tables, and texts of several lines as code blocks."""
    nested = {name: value for name, value in details.items() if isinstance(value, dict)}
    texts = {name: value for name, value in details.items() if isinstance(value, str) and "\n" in value}
    single = [name for name in details if name not in nested and name not in texts]
    if single:
        yield "\n".join(f"- {_name(name)}: {_value(details[name])}" for name in single)
    if nested and not any(isinstance(part, dict) for value in nested.values() for part in value.values()):
        yield _rows(nested)  # one table with a row each
    else:
        for name, value in nested.items():
            yield f"{_name(name)}:"
            yield _rows(value)
    for name, value in texts.items():
        yield f"{_name(name)}:"
        yield f"{FENCE}\n{value.strip().replace(FENCE, '')}\n{FENCE}"


def _rows(value: dict[str, Any]) -> str:
    """Returns a table with a row for each name, or a list if the values are not dictionaries."""
    if not all(isinstance(part, dict) for part in value.values()):
        return "\n".join(f"- {_name(name)}: {_value(part)}" for name, part in value.items())
    columns = list(dict.fromkeys(column for part in value.values() for column in part))
    cells = [
        (_name(name), *(_value(part.get(column, "")) for column in columns)) for name, part in value.items()
    ]
    return _table(("", *map(_name, columns)), cells)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _name(name: str) -> str:
    return name.replace("_", " ").replace("|", "\\|")


def _value(value: Any) -> str:
    """Returns a value as the text of a table cell."""
    match value:
        case float():
            return f"{value:.4g}"
        case dict():
            return ", ".join(f"{_name(name)}: {_value(part)}" for name, part in value.items())
        case list() | tuple():
            return ", ".join(map(_value, value))
        case _:
            return " ".join(str(value).split()).replace("|", "\\|")
