"""`onward lesson`: the ladder, a rung of it, or all of its figures."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from onward.cli.options import Json
from onward.cli.output import FAILED, emit, emit_facts, emit_json, say

ALL = "all"
_FOLDERS = {"graph": Path("lesson-graph")}
"""Where a rung that only draws puts its pictures, if it is run alone and given no folder."""


def lesson(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A rung, or `all`; without it, the list.")
    ] = "",
    share: Annotated[
        float,
        typer.Option(min=0.001, max=1.0, help="Share of each rung's training to run, for a first look."),
    ] = 1.0,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder for the pictures that rungs draw; `graph` draws into lesson-graph/."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    json: Json = False,
) -> None:
    """Climb the ladder from embeddings to a network that writes: every idea a file, every figure checked.

    \b
    onward lesson                 the rungs, what each adds, what to expect
    onward lesson three           run one
    onward lesson all             run all, and print the table of figures beside the lesson's own
    """
    from onward.lesson.climb import climb, climb_all  # noqa: PLC0415 - torch, which `--help` does without
    from onward.lesson.ladder import rungs  # noqa: PLC0415
    from onward.lesson.rung import LessonSettings  # noqa: PLC0415
    from onward.lesson.table import as_markdown  # noqa: PLC0415

    settings = LessonSettings(seed=seed, share=share, pictures=pictures or _FOLDERS.get(name), say=say)
    if not name:
        _list(rungs(), as_json=json)
    elif name != ALL:
        _show(climb(name, settings), as_json=json)
    else:
        rows = climb_all(settings)
        if json:
            emit_json({"rungs": rows})
        else:
            emit(as_markdown(rows))
        if any(row["figure"] is None for row in rows):
            raise typer.Exit(FAILED)


def _list(rungs: list[Any], *, as_json: bool) -> None:
    """What each rung adds and how long it takes."""
    if as_json:
        emit_json({"rungs": [vars(rung) for rung in rungs]})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("rung", "what is new", "the lesson", "ours", "minutes"):
        table.add_column(column, justify="right" if column == "minutes" else "left", overflow="fold")
    for rung in rungs:
        target = "" if rung.target is None else f"≤ {rung.target:g}"
        table.add_row(rung.name, rung.new, rung.lesson or "", target, f"{rung.minutes:g}")
    Console().print(table)
    say("run one with: onward lesson NAME")


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    """What a rung found."""
    if as_json:
        emit_json(row)
    else:
        emit_facts({name: value for name, value in row.items() if value not in (None, [], {})})
