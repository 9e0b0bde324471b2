"""`onward lesson`: lists the rungs of the lesson, or runs one or all of them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from onward.cli.options import Json
from onward.cli.output import FAILED, emit, emit_facts, emit_json, say
from onward.cli.terminal import SafeConsole

ALL = "all"
_FOLDERS = {"graph": Path("lesson-graph")}
"""The default folder for pictures of a rung that only draws."""


def lesson(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A rung, or `all`. Leave it out to list the rungs.")
    ] = "",
    share: Annotated[
        float,
        typer.Option(min=0.001, max=1.0, help="Run only this share of the training, for a quick look."),
    ] = 1.0,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures. Default: none; for `graph`, lesson-graph/."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed for the weights and the order of the data.")] = 0,
    json: Json = False,
) -> None:
    """Learn how recurrent networks work. Each rung of the lesson is a small program that adds one idea.

    \b
    onward lesson                 list the rungs, with their ideas and figures
    onward lesson three           run one rung
    onward lesson all             run all rungs, and compare their results with those of 2017
    """
    from onward.lesson.ladder import rungs  # noqa: PLC0415
    from onward.lesson.rung import LessonSettings  # noqa: PLC0415
    from onward.lesson.runner import run_all, run_rung  # noqa: PLC0415 - torch, which `--help` does without
    from onward.lesson.table import as_markdown  # noqa: PLC0415

    settings = LessonSettings(seed=seed, share=share, pictures=pictures or _FOLDERS.get(name), report=say)
    if not name:
        _list(rungs(), as_json=json)
    elif name != ALL:
        _show(run_rung(name, settings), as_json=json)
    else:
        rows = run_all(settings)
        if json:
            emit_json({"rungs": rows})
        else:
            for line in as_markdown(rows).splitlines():
                emit(line)
        if any(row["figure"] is None for row in rows):
            raise typer.Exit(FAILED)


def _list(rungs: list[Any], *, as_json: bool) -> None:
    """Prints a table of the rungs."""
    if as_json:
        emit_json({"rungs": [vars(rung) for rung in rungs]})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("rung", "new idea", "the lesson", "target", "minutes"):
        table.add_column(column, justify="right" if column == "minutes" else "left", overflow="fold")
    for rung in rungs:
        target = "" if rung.target is None else f"≤ {rung.target:g}"
        table.add_row(rung.name, rung.new, rung.lesson or "", target, f"{rung.minutes:g}")
    SafeConsole().print(table)
    say("run a rung with: onward lesson NAME")


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit_json(row)
    else:
        emit_facts({name: value for name, value in row.items() if value not in (None, [], {})})
