"""`onward watch learn`: from normal sequences to a detector."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from onward.cli.options import Json
from onward.cli.output import announce_standard_input, emit_facts, emit_json, say
from onward.cli.watch_options import FalseAlarmsLearned, TopK, rate_of, refuse_both, share
from onward.errors import InputError

if TYPE_CHECKING:
    from onward.watch.datasets import Dataset
    from onward.watch.detector import Detector
    from onward.watch.input.format import InputFormat
    from onward.watch.input.records import UnreadableLines

EventSources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE", help="Files (also .gz), folders, patterns, or - for standard input."),
]


def learn(
    source: EventSources,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of the detector.")],
    log: Annotated[bool, typer.Option("--log", help="Raw log lines.")] = False,
    key: Annotated[
        str | None, typer.Option(help="CSV or JSON lines: the column that says which sequence it is.")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="CSV or JSON lines: the column of the event; several are joined.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time", help="CSV or JSON lines: the column of the time.")
    ] = None,
    form: Annotated[
        Literal["csv", "jsonl"] | None,
        typer.Option(help="What has the columns, where no name ends in .jsonl, .ndjson or .json."),
    ] = None,
    delimiter: Annotated[
        str, typer.Option(metavar="CHARACTER", help="Between CSV columns; 'tab' for a tab.")
    ] = ",",
    key_regex: Annotated[
        str | None, typer.Option(help="Log lines: what to group them by, such as 'blk_-?\\d+'.")
    ] = None,
    symbols: Annotated[
        Literal["templates", "words", "bytes"], typer.Option(help="Log lines: what an event is.")
    ] = "templates",
    false_alarms: FalseAlarmsLearned = None,
    top_k: TopK = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Parts that the calibration deals the sequences into; 5 by default."),
    ] = None,
    in_order: Annotated[
        bool | None,
        typer.Option(
            "--in-order/--any-order",
            help="Whether time passes from sequence to sequence; the later half then calibrates. "
            "By default so for records and log lines, not for a sequence a line.",
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Calibrate on this share alone, such as 50%, which the model does not see: exact.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Of training; by default as many as the data ask for.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the weights, and of who is held out.")] = 0,
    json: Json = False,
) -> None:
    """Learn a detector from normal sequences alone: no label is needed, and none is used.

    \b
    onward watch learn hdfs_train.gz -o hdfs.onward                       a sequence a line
    onward watch learn audit.csv --key session --event action -o audit.onward
    onward watch learn server.jsonl --key host --event level --event message -o server.onward
    kubectl logs pod | onward watch learn - --form jsonl --key trace --event message -o pod.onward
    onward watch learn hdfs.log --log --key-regex 'blk_-?\\d+' -o blocks.onward
    onward watch learn syslog --log --symbols bytes -o syslog.onward      a line by itself, no parser
    """
    from onward.outputs import output_lock, refuse_to_replace  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.detector import FALSE_ALARMS  # noqa: PLC0415
    from onward.watch.input.format import InputFormat, detect_format  # noqa: PLC0415
    from onward.watch.training import (  # noqa: PLC0415
        FOLDS,
        LearnSettings,
        learn_detector,
    )

    started = time.monotonic()
    refuse_both(("--form", form), ("--log", log))
    refuse_both(("--folds", folds), ("--held-out", held_out))
    refuse_both(("--folds", folds), ("--in-order", in_order))
    how = InputFormat(
        form=form or detect_format(source, log=log, columns=bool(event)),
        key=key,
        event=tuple(event or ()),
        time=time_column,
        key_regex=key_regex,
        symbols=symbols,
        delimiter=delimiter,
    )
    in_order = how.form != "sequences" if in_order is None else in_order
    if folds is not None and in_order:
        raise InputError(
            "--folds is for sequences in any order, and these stand in the order of time",
            hint="leave it out, or give --any-order",
        )
    learning = LearnSettings(
        seed=seed,
        folds=FOLDS if folds is None else folds,
        in_order=in_order,
        held_out=None if held_out is None else share(held_out, "--held-out"),
        rate=rate_of(false_alarms, top_k) or FALSE_ALARMS,
        top_k=top_k,
        steps=steps,
    )
    announce_standard_input(source)
    with output_lock(output):
        refuse_to_replace(output, map(Path, source))
        loaded = _load(source, how)
        is_bytes, reading = how.symbols == "bytes", loaded.source
        detector = learn_detector(loaded.events, learning, is_bytes=is_bytes, source=reading, tell=say)
        detector.save(output)
    _tell(detector, loaded.unreadable, output, time.monotonic() - started, json)


def _load(source: list[str], how: "InputFormat") -> "Dataset":
    """What is to be learned from; what speaks against how it is read is said first."""
    from onward.watch.datasets import load_normal  # noqa: PLC0415 - torch, which `--help` does without

    loaded = load_normal(source, how)
    if loaded.format_warning:
        say(loaded.format_warning, style="yellow")
    return loaded


def _tell(detector: "Detector", trouble: "UnreadableLines", output: Path, seconds: float, json: bool) -> None:
    """What was learned, and what to know before it is trusted."""
    from onward.watch.evaluation.summary import summary, warnings  # noqa: PLC0415 - torch, which `--help` does without

    for warning in warnings(detector, [trouble]):
        say(warning, style="yellow")
    found = {"output": str(output), **summary(detector), "unreadable_lines": trouble.count}
    found["seconds"] = round(seconds, 1)
    if json:
        emit_json(found)
    else:
        low, high = found["false_alarms_interval"]
        emit_facts(found | {"false_alarms_interval": f"{low:.4g} to {high:.4g}"})
