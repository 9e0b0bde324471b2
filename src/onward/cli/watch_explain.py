"""`onward watch explain`: shows the surprise of each event of a sequence, and the expected events."""

from pathlib import Path
from typing import Annotated

import typer

from onward.cli.options import Json
from onward.cli.output import emit, emit_json, say
from onward.cli.watch_options import DetectorPath


def explain(
    model: DetectorPath,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, or - for standard input.")],
    key: Annotated[
        str,
        typer.Option("--key", help="Key of the sequence; its line number if lines have no keys."),
    ],
    state: Annotated[
        Path | None,
        typer.Option(help="State file of `watch run`: explain by what the detector has learned since then."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page that colours each event by its surprise.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the verdict on a sequence, the surprise of each event, and the events that were expected instead.

    \b
    onward watch explain hdfs.onward anomalous.gz --key 17
    onward watch explain audit.onward audit.csv --key session-9 --html session-9.html
    """
    from onward.watch.datasets import load_sequences  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.explain import as_lines, explain_sequence, write_page  # noqa: PLC0415
    from onward.watch.stream.store import learned_in  # noqa: PLC0415

    detector = Detector.load(model)
    if state:
        detector = detector.learn(learned_in(state))
    explanation = explain_sequence(detector, load_sequences(detector, [source]), key)
    if html:
        write_page(explanation, html)
        say(f"wrote {html}")
    if json:
        emit_json(explanation.to_json())
    elif not html:
        for line in as_lines(explanation):
            emit(line)
