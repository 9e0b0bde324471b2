"""`onward watch explain`: a sequence with what was expected at each of its events."""

from pathlib import Path
from typing import Annotated

import typer

from onward.cli.options import Json
from onward.cli.output import emit, emit_json, say
from onward.cli.watch_options import Detector


def explain(
    model: Detector,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, or - for standard input.")],
    key: Annotated[str, typer.Option("--key", help="Of the sequence; of a line by itself, its number.")],
    html: Annotated[
        Path | None, typer.Option(help="Write a page that colours each event by its surprise.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a sequence with the surprise of each event, what was expected in its place, and the verdict.

    \b
    onward watch explain hdfs.onward anomalous.gz --key 17
    onward watch explain audit.onward audit.csv --key session-9 --html session-9.html
    """
    from onward.watch.datasets import load_sequences  # noqa: PLC0415
    from onward.watch.detector import Detector as Loaded  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.explain import as_text, explained, write_page  # noqa: PLC0415

    detector = Loaded.load(model)
    found = explained(detector, load_sequences(detector, [source]), key)
    if html:
        write_page(found, html)
        say(f"wrote {html}")
    if json:
        emit_json(found.to_json())
    elif not html:
        emit(as_text(found))
