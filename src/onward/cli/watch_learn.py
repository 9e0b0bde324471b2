"""`onward watch learn`: learns a detector from normal sequences."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from onward.allocator import keep_freed_memory
from onward.cli.options import Json
from onward.cli.output import announce_standard_input, emit_facts, emit_json, say
from onward.cli.watch_options import FalseAlarmsLearned, TopKOption, rate_of, refuse_both, share
from onward.errors import InputError

if TYPE_CHECKING:
    from onward.watch.detector import Detector
    from onward.watch.input.format import InputFormat
    from onward.watch.input.records import UnreadableLines
    from onward.watch.training import LearnSettings

EventSources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE", help="Files (also compressed), folders, patterns, or - for standard input."
    ),
]


def learn(
    source: EventSources,
    output: Annotated[Path, typer.Option("--output", "-o", help="The detector file to write.")],
    log: Annotated[bool, typer.Option("--log", help="The source consists of raw log lines.")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            help="CSV or JSON lines: column with the key. Records with the same key form a sequence."
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="CSV or JSON lines: column with the event. If it is repeated, the columns form one event."
        ),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time", help="CSV or JSON lines: column with the time.")
    ] = None,
    form: Annotated[
        Literal["csv", "jsonl"] | None,
        typer.Option(
            help="Format of a source with columns. Default: jsonl for .jsonl, .ndjson and .json, else csv."
        ),
    ] = None,
    delimiter: Annotated[
        str, typer.Option(metavar="CHARACTER", help="Character between CSV columns; 'tab' for a tab.")
    ] = ",",
    key_regex: Annotated[
        str | None,
        typer.Option(
            help="Raw log lines: regular expression that finds the key in a line, such as 'blk_-?\\d+'."
        ),
    ] = None,
    symbols: Annotated[
        Literal["templates", "words", "bytes"],
        typer.Option(
            help="Raw log lines: with templates, a line is one event (without its numbers). With words "
            "or bytes, a line is a sequence of words or bytes."
        ),
    ] = "templates",
    false_alarms: FalseAlarmsLearned = None,
    top_k: TopKOption = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Split the sequences into N parts (folds). A model scores each part after training on the "
            "others. Default: 5, or fewer if there are many events."
        ),
    ] = None,
    in_order: Annotated[
        bool | None,
        typer.Option(
            "--in-order/--any-order",
            help="--in-order: the sequences are in time order; calibrate with the later half. --any-order: "
            "their order does not matter; calibrate with folds. Default: --in-order for records and log "
            "lines, --any-order for one sequence per line.",
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Calibrate with this share of the sequences, such as 50%, and train only on the rest. The "
            "false-alarm rate is then the most reliable.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of training steps. Default: depends on the amount of data.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed for the initial weights and the folds.")] = 0,
    json: Json = False,
) -> None:
    """Learn a detector from normal sequences. It needs no labels.

    \b
    onward watch learn hdfs_train.gz -o hdfs.onward                       one sequence per line
    onward watch learn audit.csv --key session --event action -o audit.onward
    onward watch learn server.jsonl --key host --event level --event message -o server.onward
    kubectl logs pod | onward watch learn - --form jsonl --key trace --event message -o pod.onward
    onward watch learn hdfs.log --log --key-regex 'blk_-?\\d+' -o blocks.onward
    onward watch learn syslog --log --symbols bytes -o syslog.onward   a line is a sequence of bytes

    The calibration scores sequences that the model was not trained on, and sets
    the threshold for --false-alarms. --folds, --in-order and --held-out choose
    these sequences.
    """
    from onward.watch.input.format import InputFormat, detect_format  # noqa: PLC0415

    started = time.monotonic()
    refuse_both(("--form", form), ("--log", log))
    input_format = InputFormat(
        form=form or detect_format(source, log=log, columns=bool(event)),
        key=key,
        event=tuple(event or ()),
        time=time_column,
        key_regex=key_regex,
        symbols=symbols,
        delimiter=delimiter,
    )
    settings = _settings(
        input_format,
        folds=folds,
        in_order=in_order,
        held_out=held_out,
        false_alarms=false_alarms,
        top_k=top_k,
        steps=steps,
        seed=seed,
    )
    announce_standard_input(source)
    keep_freed_memory()
    detector, unreadable = _learn_and_save(source, input_format, settings, output)
    _report(detector, unreadable, output, time.monotonic() - started, json)


def _settings(
    input_format: "InputFormat",
    *,
    folds: int | None,
    in_order: bool | None,
    held_out: str | None,
    false_alarms: str | None,
    top_k: int | None,
    **others: Any,
) -> "LearnSettings":
    """Returns the settings of the options.

    Raises:
        InputError: options that exclude each other, or a wrong value.
    """
    from onward.watch.training import LearnSettings  # noqa: PLC0415 - imports torch, which `--help` does not need

    refuse_both(("--folds", folds), ("--held-out", held_out))
    refuse_both(("--folds", folds), ("--in-order", in_order))
    in_order = input_format.form != "sequences" if in_order is None else in_order
    if folds is not None and in_order:
        raise InputError(
            "--folds is for sequences in any order, but this source is read in time order",
            hint="leave out --folds, or add --any-order",
        )
    return LearnSettings(
        folds=folds,
        in_order=in_order,
        held_out=None if held_out is None else share(held_out, "--held-out"),
        rate=rate_of(false_alarms, top_k),
        top_k=top_k,
        **others,
    )


def _learn_and_save(
    source: list[str], input_format: "InputFormat", settings: "LearnSettings", output: Path
) -> "tuple[Detector, UnreadableLines]":
    from onward.outputs import output_lock, refuse_to_replace  # noqa: PLC0415
    from onward.watch.datasets import load_normal  # noqa: PLC0415
    from onward.watch.training import learn_detector  # noqa: PLC0415

    with output_lock(output):
        refuse_to_replace(output, map(Path, source))
        dataset = load_normal(source, input_format)
        if dataset.format_warning:
            say(dataset.format_warning, style="yellow")
        is_bytes = input_format.symbols == "bytes"
        detector = learn_detector(
            dataset.events, settings, is_bytes=is_bytes, source=dataset.source, notify=say
        )
        detector.save(output)
    return detector, dataset.unreadable


def _report(
    detector: "Detector", unreadable: "UnreadableLines", output: Path, seconds: float, json: bool
) -> None:
    """Prints the warnings and the summary of a new detector."""
    from onward.watch.evaluation.summary import summary, warnings  # noqa: PLC0415

    for warning in warnings(detector, [unreadable]):
        say(warning, style="yellow")
    found = {"output": str(output), **summary(detector), "unreadable_lines": unreadable.count}
    found["seconds"] = round(seconds, 1)
    if json:
        emit_json(found)
    else:
        low, high = found["false_alarms_interval"]
        emit_facts(found | {"false_alarms_interval": f"{low:.4g} to {high:.4g}"})
