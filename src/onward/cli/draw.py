"""`onward draw`: draws the architecture of a model."""

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
        typer.Option(
            "--output", "-o", help="Picture file, .svg or .png. Default: MODEL.svg in the current folder."
        ),
    ] = None,
    unrolled: Annotated[
        int, typer.Option(help="Draw the model unrolled over N steps; 0 draws one step with loops.")
    ] = 0,
    json: Json = False,
) -> None:
    """Draw the layers of a model: rectangles are inputs, circles hidden layers, triangles outputs.

    \b
    onward draw nietzsche.onward
    onward draw nietzsche.onward --unrolled 4 -o steps.png
    """
    from onward.draw import draw as draw_graph  # noqa: PLC0415 - `--help` needs no PyTorch
    from onward.draw import graph_of  # noqa: PLC0415

    picture = output or Path(f"{Path(model).stem}.svg")
    draw_graph(graph_of(onward.load(model).model), picture, unrolled=unrolled)
    say(f"drew {picture}")
    if json:
        emit_json({"picture": str(picture), "unrolled": unrolled})
