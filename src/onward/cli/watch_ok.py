"""`onward watch ok`: marks a flagged sequence as normal."""

from pathlib import Path
from typing import Annotated, Any

import typer

from onward.cli.options import Json
from onward.cli.output import emit, emit_json, say
from onward.cli.watch_options import DetectorPath
from onward.errors import InputError


def ok(
    model: DetectorPath,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Source that contains the sequence; not needed with --state."),
    ] = None,
    *,
    key: Annotated[str, typer.Option("--key", help="Key of the sequence.")],
    state: Annotated[
        Path | None,
        typer.Option(help="State file of `watch run`, which contains the flagged sequences."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the new detector. Default: replace MODEL."),
    ] = None,
    json: Json = False,
) -> None:
    """Mark a flagged sequence as normal: the detector learns it, and keeps what it learned before.

    \b
    onward watch ok blocks.onward --key blk_-1608999687919862906 --state watch.db
    onward watch ok audit.onward audit.csv --key session-9 -o audit-2.onward
    """
    from onward.outputs import output_lock  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.datasets import load_sequences  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.feedback import mark_normal  # noqa: PLC0415
    from onward.watch.stream.store import Flagged, flagged_in  # noqa: PLC0415

    if (source is None) == (state is None):
        raise InputError("expected either SOURCE or --state", hint="give exactly one of them")
    target = output or Path(model)
    with output_lock(target):
        detector = Detector.load(model)
        if state:
            flagged = flagged_in(state, key)
        else:
            found = load_sequences(detector, [str(source)]).last_of(key)
            flagged = Flagged(found.events, found.lines[0], ended=True)
        feedback = mark_normal(detector, flagged.events, key, began=flagged.began, ended=flagged.ended)
        feedback.detector.save(target)
    data: dict[str, Any] = feedback.to_json() | {"output": str(target)}
    if json:
        emit_json(data)
    else:
        _print_effect(data, ended=flagged.ended)


def _print_effect(data: dict[str, Any], *, ended: bool) -> None:
    if data["repeated"]:
        say("already marked as normal; nothing changed", style="yellow")
    elif not ended:
        say("the sequence is still open: only its prefix was learned, not its end")
    for name in ("p_value", "bits_per_event"):
        emit(f"{name:<16}{data[name]['before']:.6g} before, {data[name]['after']:.6g} after")
    if data["flagged"]["after"]:
        say(
            "the sequence would still be flagged: mark more sequences like it, "
            "or learn again with them among the normal ones",
            style="yellow",
        )
