"""`onward watch ok`: what was flagged was normal."""

from pathlib import Path
from typing import Annotated, Any

import typer

from onward.cli.options import Json
from onward.cli.output import emit, emit_json, say
from onward.cli.watch_options import Detector
from onward.errors import InputError


def ok(
    model: Detector,
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Where the sequence stands; or give --state.")
    ] = None,
    *,
    key: Annotated[str, typer.Option("--key", help="Of the sequence that was normal.")],
    state: Annotated[
        Path | None, typer.Option(help="The state of a watch, which has the events of what it flagged.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new detector; by default in place of the old.")
    ] = None,
    json: Json = False,
) -> None:
    """Say that a sequence was normal: the detector learns it, and keeps what it knew.

    \b
    onward watch ok blocks.onward --key blk_-1608999687919862906 --state watch.db
    onward watch ok audit.onward audit.csv --key session-9 -o audit-2.onward
    """
    from onward.outputs import output_lock  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.datasets import load_sequences  # noqa: PLC0415
    from onward.watch.detector import Detector as Loaded  # noqa: PLC0415
    from onward.watch.feedback import mark_normal  # noqa: PLC0415
    from onward.watch.stream.store import Flagged, flagged_in  # noqa: PLC0415

    if (source is None) == (state is None):
        raise InputError("expected either SOURCE or --state", hint="name one of them")
    target = output or Path(model)
    with output_lock(target):
        detector = Loaded.load(model)
        if state:
            said = flagged_in(state, key)
        else:
            found = load_sequences(detector, [str(source)]).last_of(key)
            said = Flagged(found.events, found.lines[0], ended=True)
        forgiven = mark_normal(detector, said.events, key, began=said.began, ended=said.ended)
        forgiven.detector.save(target)
    data: dict[str, Any] = forgiven.to_json() | {"output": str(target)}
    if json:
        emit_json(data)
    else:
        _show(data, ended=said.ended)


def _show(data: dict[str, Any], *, ended: bool) -> None:
    """What it has done."""
    if data["repeated"]:
        say("it was said before that this sequence is normal: nothing has changed", style="yellow")
    elif not ended:
        say("the sequence has not ended: what came so far is learned, and not that it ends there")
    for name in ("p_value", "bits_per_event", "replay_bits_per_event"):
        emit(f"{name:<24}{data[name]['before']:.6g} before, {data[name]['after']:.6g} after\n")
    if data["flagged"]["after"]:
        say(
            "it would be flagged still: tell of more such sequences, or learn again with them", style="yellow"
        )
