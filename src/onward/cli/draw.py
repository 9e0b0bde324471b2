"""`onward draw`: a model as a picture of what leads to what."""

from pathlib import Path
from typing import Annotated

import typer

import onward
from onward.cli.options import Json, Model
from onward.cli.output import emit_json, say


def draw(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The picture, .svg or .png; by default MODEL.svg, here."),
    ] = None,
    unrolled: Annotated[
        int, typer.Option(help="Draw so many steps side by side; 0 draws one, with its loops.")
    ] = 0,
    json: Json = False,
) -> None:
    """Draw a model: rectangles go in, circles are hidden, triangles come out.

    \b
    onward draw nietzsche.onward
    onward draw nietzsche.onward --unrolled 4 -o steps.png
    """
    from onward.draw import draw as draw_graph  # noqa: PLC0415 - torch, which `onward --help` does without
    from onward.draw import graph_of  # noqa: PLC0415

    picture = output or Path(f"{Path(model).stem}.svg")
    draw_graph(graph_of(onward.load(model).model), picture, unrolled=unrolled)
    say(f"drew {picture}")
    if json:
        emit_json({"picture": str(picture), "unrolled": unrolled})
