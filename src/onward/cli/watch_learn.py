"""`onward watch learn`: learns a detector from normal sequences."""

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from onward.allocator import keep_freed_memory
from onward.cli.default_output import default_output
from onward.cli.options import Json
from onward.cli.output import announce_standard_input, emit_facts, emit_json, say
from onward.cli.watch_options import FalseAlarmsLearned, TopKOption, rate_of, refuse_both, share
from onward.errors import InputError

if TYPE_CHECKING:
    from onward.watch.detector import Detector
    from onward.watch.input.detection import FormatOptions
    from onward.watch.input.format import Form
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The detector file. Default: SOURCE.onward in the current folder."
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="The same as --form log: raw log lines.")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            help="Column with the key: records with the same key form a sequence. Log lines have the columns "
            "of their header, such as pid. Default: the column that makes events most predictable."
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with the event. If it is repeated, the columns form one event. For free text, the "
            "event is the template. Default: detected from the source."
        ),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time", help="Column with the time. Default: detected from the source.")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with a duration, a size or a count. A value far above those in training raises an "
            "alarm. It may be repeated. Default: the columns whose numbers vary without a trend."
        ),
    ] = None,
    form: Annotated[
        Literal["sequences", "csv", "jsonl", "logfmt", "log"] | None,
        typer.Option(help="Format of the source. Default: detected from the first lines."),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="Character between CSV columns; 'tab' for a tab. Default: detected from the source.",
        ),
    ] = None,
    key_regex: Annotated[
        str | None,
        typer.Option(
            help="Regular expression that finds the key in a line, such as 'blk_-?\\d+'. Default: a pattern "
            "of ids, such as job 9 or req-3f2a, if they make events more predictable than any column does."
        ),
    ] = None,
    symbols: Annotated[
        Literal["templates", "words", "bytes"],
        typer.Option(
            help="How to read raw log lines. templates: each line is one event, made of its words and its "
            "numbers with few values. words or bytes: each line is a sequence of words or bytes."
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

    The first lines show what the source is, which columns are the time, the level
    and the message, and what groups records into sequences. Options correct
    what was detected.

    \b
    onward watch learn app.log
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
    from onward.watch.input.detection import FormatOptions  # noqa: PLC0415

    started, target = time.monotonic(), output or default_output(source[0])
    refuse_both(("--form", form), ("--log", log))
    if log and event:
        raise InputError("raw log lines have no columns", hint="leave out --log, or --event")
    options = FormatOptions(
        form="log" if log else form,
        key=key,
        event=tuple(event or ()),
        time=time_column,
        key_regex=key_regex,
        symbols=symbols,
        delimiter=delimiter,
        measures=tuple(measure or ()),
    )
    refuse_both(("--folds", folds), ("--held-out", held_out))
    refuse_both(("--folds", folds), ("--in-order", in_order))
    settings = _settings(held_out=held_out, false_alarms=false_alarms, top_k=top_k, steps=steps, seed=seed)
    announce_standard_input(source)
    keep_freed_memory()
    detector, unreadable = _learn_and_save(source, options, settings, target, folds, in_order)
    _report(detector, unreadable, target, time.monotonic() - started, json)


def _settings(
    *, held_out: str | None, false_alarms: str | None, top_k: int | None, **others: Any
) -> "LearnSettings":
    """Returns the settings of the options that do not depend on the form of the source.

    Raises:
        InputError: options that exclude each other, or a wrong value.
    """
    from onward.watch.training import LearnSettings  # noqa: PLC0415 - imports torch, which `--help` does not need

    return LearnSettings(
        held_out=None if held_out is None else share(held_out, "--held-out"),
        rate=rate_of(false_alarms, top_k),
        top_k=top_k,
        **others,
    )


def _splits(form: "Form", folds: int | None, in_order: bool | None) -> dict[str, Any]:
    """Returns the settings that depend on the form: records and log lines are in order of time.

    Raises:
        InputError: folds for a source in order of time.
    """
    in_order = form != "sequences" if in_order is None else in_order
    if folds is not None and in_order:
        raise InputError(
            "--folds is for sequences in any order, but this source is read in time order",
            hint="leave out --folds, or add --any-order",
        )
    return {"in_order": in_order, "folds": folds}


def _learn_and_save(
    source: list[str],
    options: "FormatOptions",
    settings: "LearnSettings",
    output: Path,
    folds: int | None,
    in_order: bool | None,
) -> "tuple[Detector, UnreadableLines]":
    from onward.cli.learn_progress import LearnProgress  # noqa: PLC0415 - torch
    from onward.outputs import output_lock, refuse_to_replace  # noqa: PLC0415
    from onward.watch.datasets import load_normal  # noqa: PLC0415
    from onward.watch.training import learn_detector  # noqa: PLC0415

    if options.form:
        _splits(options.form, folds, in_order)  # refuses a wrong option before anything is read
    with output_lock(output), LearnProgress() as progress:
        refuse_to_replace(output, map(Path, source))
        dataset = load_normal(source, options, notify=progress.say)
        settings = replace(settings, **_splits(dataset.input_format.form, folds, in_order))
        is_bytes = options.symbols == "bytes"
        detector = learn_detector(
            dataset.events,
            settings,
            is_bytes=is_bytes,
            source=dataset.source,
            observer=progress,
            notify=progress.say,
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
        say("next")
        say(f"  onward watch run {shlex.quote(str(output))} LOG --follow")
