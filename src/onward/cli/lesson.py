"""`onward lesson`: the ladder, a rung of it, or all of its figures."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from onward.cli.options import Json
from onward.cli.output import emit, emit_facts, emit_json, say
from onward.cli.table import as_markdown

ALL = "all"


def lesson(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A rung, or `all`; without it, the list.")
    ] = "",
    share: Annotated[
        float, typer.Option(help="Share of each rung's training to run, for a first look.")
    ] = 1.0,
    pictures: Annotated[Path | None, typer.Option(help="Folder for the pictures that rungs draw.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    json: Json = False,
) -> None:
    """Climb the ladder from embeddings to a network that writes: every idea a file, every figure checked.

    \b
    onward lesson                 the rungs, what each adds, what to expect
    onward lesson three           run one
    onward lesson all             run all, and print the table of figures beside the lesson's own
    """
    from onward.lesson import ladder  # noqa: PLC0415 - torch, which `onward --help` does without
    from onward.lesson.rung import Settings  # noqa: PLC0415

    settings = Settings(seed=seed, share=share, pictures=pictures, say=say)
    if not name:
        _list(ladder.rungs(), as_json=json)
    elif name != ALL:
        _show(run_rung(name, settings), as_json=json)
    else:
        rows = [run_rung(rung, settings) for rung in ladder.MODULES]
        emit_json({"rungs": rows}) if json else emit(as_markdown(rows))


def run_rung(name: str, settings: Any) -> dict[str, Any]:
    """Runs a rung; its figures beside the lesson's."""
    import torch  # noqa: PLC0415

    from onward.lesson import ladder  # noqa: PLC0415

    module = ladder.module_of(name)
    rung = module.RUNG
    say(f"{rung.name}: {rung.new}", style="bold")
    torch.set_num_threads(1)  # matrices this small only wait for a second thread
    started = time.monotonic()
    outcome = module.run(settings)
    comparable = settings.share >= 1 and outcome.text == rung.text
    if outcome.text != rung.text:
        say(f"{rung.text} is not at hand, this is {outcome.text}: the lesson's figures do not apply")
    reached = None if rung.target is None or not comparable else outcome.figure <= rung.target
    return {
        "rung": rung.name,
        "measure": rung.measure,
        "lesson": rung.lesson,
        "target": rung.target,
        "figure": outcome.figure,
        "reached": reached,
        "held_out": outcome.held_out,
        "text": outcome.text,
        "seconds": round(time.monotonic() - started, 1),
        "details": outcome.details,
        "pictures": [str(picture) for picture in outcome.pictures],
    }


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
