"""`onward export`: writes a model as a page that needs no server."""

from pathlib import Path
from typing import Annotated

import typer

from onward.cli.options import Json, Model
from onward.cli.output import emit_json, say
from onward.cli.text_model import load_text_model


def export(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="HTML file. Default: MODEL.html in the current folder."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a model as one HTML page, which completes and continues text in the browser, without a server.

    \b
    onward export nietzsche.onward
    onward export english -o english.html
    """
    from onward.export.page import export_page  # noqa: PLC0415 - `--help` needs no PyTorch

    trained = load_text_model(model)
    page = output or Path(f"{Path(model).stem}.html")
    export_page(trained, page)
    size = page.stat().st_size
    say(f"wrote {page}, {size / 1e6:.1f} MB; open it in a browser")
    if json:
        emit_json({"page": str(page), "bytes": size})
