"""Arguments and options that several commands share."""

from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model file that `onward train` made, or english or python, which come with onward.",
    ),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Files, folders, patterns in quotes, - for standard input, or a named corpus: "
        "pydoc (built in), nietzsche, tinyshakespeare (downloaded).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to standard output.")]
Memory = Annotated[
    float,
    typer.Option(
        metavar="MB",
        help="Size in megabytes of the memory: n-gram counts of the text so far. 0 turns it off.",
    ),
]
MEGABYTES = 16.0
"""Default of `Memory`, as in onward.memory.layout, which `--help` does not import."""
