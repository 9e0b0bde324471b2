"""`onward lsp`: a language server for editors."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from onward.cli.output import say
from onward.errors import InputError
from onward.outputs import WORKSPACE_FOLDER

if TYPE_CHECKING:
    from onward.lsp.suggester import Suggester

WORKSPACE_MODEL = Path(WORKSPACE_FOLDER) / "model.onward"
"""Model of a workspace, in its folder."""

_DEFAULT_MODEL = "python"
_NEOVIM = Path(__file__).parent.parent / "lsp" / "static" / "onward.lua"


def lsp(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A file that `onward train` made, or english or python. Default: .onward/model.onward in "
            "the workspace if it exists, else python.",
        ),
    ] = None,
    memory: Annotated[
        float,
        typer.Option(
            metavar="MB",
            help="Size in megabytes of the memory of the workspace, and of each document that is in use. "
            "With 0, no file is read, and nothing is learned.",
        ),
    ] = 16.0,
    plugin: Annotated[
        Literal["neovim"] | None,
        typer.Option(help="Print a plugin that shows ghost text in this editor, and end."),
    ] = None,
) -> None:
    """Complete what is typed in an editor: a language server on standard input and output.

    \b
    onward lsp                                     an editor starts it
    onward lsp --model english
    onward lsp --plugin neovim > onward.lua
    onward train . -o .onward/model.onward         a model of this workspace

    The server reads the files of the workspace that Git does not ignore, and
    learns from what is typed. It writes no file and opens no connection.
    """
    if plugin:
        sys.stdout.write(_NEOVIM.read_text(encoding="utf-8"))
        return
    try:
        from onward.lsp.server import make_server  # noqa: PLC0415 - an extra, which is slow to load
    except ModuleNotFoundError as error:
        raise InputError(
            f"expected the package {error.name}, which is not installed",
            hint='install it with pip install ".[lsp]"',
        ) from error
    if sys.stdin.isatty():
        say("waiting for an editor: it starts this command itself")
    for name in ("pygls", "asyncio"):  # they report faults of the client with tracebacks
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    server = make_server(lambda folders: _load(model, folders, memory))
    # pygls closes its output; anything else that is printed must not get into the protocol
    with open(os.dup(sys.stdout.fileno()), "wb") as output, redirect_stdout(sys.stderr):  # noqa: PTH123
        try:
            server.start_io(sys.stdin.buffer, output)
        finally:
            server.stop()


def _load(model: str | None, folders: Sequence[Path], megabytes: float) -> "Suggester":
    """Loads the model for a workspace."""
    from onward.cli.text_model import load_text_model  # noqa: PLC0415 - loads PyTorch
    from onward.lsp.suggester import Suggester  # noqa: PLC0415

    of_workspace = (folder / WORKSPACE_MODEL for folder in folders)
    path = model or next((str(path) for path in of_workspace if path.is_file()), _DEFAULT_MODEL)
    return Suggester(load_text_model(path), megabytes)
