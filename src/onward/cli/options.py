"""Arguments and options that several commands share, so that they read and behave alike."""

from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model that `onward train` made.")]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Files, folders, quoted patterns, - for standard input, or a named corpus: "
        "pydoc (built in), nietzsche, tinyshakespeare.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
