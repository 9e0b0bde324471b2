"""`onward watch run`: alarms from a file or a stream, as they come."""

import json as encoding
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onward.cli.output import DONE, FLAGGED, INTERRUPTED, announce_standard_input, emit, emit_json, say
from onward.cli.watch_options import Detector, FalseAlarms, TopK, duration, rate_of

if TYPE_CHECKING:
    from onward.watch.input.parsers import RecordParser
    from onward.watch.stream.monitor import Monitor
    from onward.watch.stream.runner import Runner


def run(
    model: Detector,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, or - for standard input.")],
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Wait for more, as tail -F: the file may grow and be rotated."),
    ] = False,
    state: Annotated[
        Path | None, typer.Option(help="A file that keeps the watch, so that the next run goes on there.")
    ] = None,
    alarms: Annotated[
        Path | None, typer.Option(help="Append alarms to this file too, as JSON, each exactly once.")
    ] = None,
    idle: Annotated[
        str, typer.Option(metavar="TIME", help="A sequence without a record for so long has ended; 90s, 2h.")
    ] = "1h",
    end: Annotated[
        bool | None,
        typer.Option(
            "--end/--no-end", help="Whether sequences end with the source; so it is without --state."
        ),
    ] = None,
    false_alarms: FalseAlarms = None,
    top_k: TopK = None,
    in_memory: Annotated[
        int, typer.Option(metavar="N", help="Sequences in flight in memory; the others lie on disk.")
    ] = 20_000,
    json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each alarm, and one of the summary.")
    ] = False,
) -> int:
    """Watch events or log lines, and print a line for each sequence that deviates.

    \b
    onward watch run hdfs.onward new.gz
    onward watch run audit.onward audit.csv --false-alarms 0.5%
    onward watch run blocks.onward /var/log/hdfs.log --follow --state watch.db --alarms alarms.jsonl
    kubectl logs -f pod | onward watch run server.onward - --json

    A line has the time, the key, the p-value, the line and its number, and what was expected, separated by
    tabs. The exit code is 3 if anything was flagged, else 0.
    """
    from onward.watch.datasets import describe_format, no_records_error, parser_for  # noqa: PLC0415
    from onward.watch.detector import Detector as Loaded  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.summary import can_never_alarm, never_alarms_message  # noqa: PLC0415
    from onward.watch.stream.monitor import Monitor  # noqa: PLC0415
    from onward.watch.stream.runner import Runner  # noqa: PLC0415
    from onward.watch.stream.store import opened_store  # noqa: PLC0415

    tell = partial(say, style="yellow")
    detector = Loaded.load(model).with_rate(rate_of(false_alarms, top_k), top_k)
    seconds = duration(idle, "--idle")
    announce_standard_input([source])
    if can_never_alarm(detector):
        tell(never_alarms_message(detector))
    with opened_store(state) as store:
        watcher = Monitor(detector, store, idle=seconds, in_memory=in_memory, tell=tell)
        reader, read_before = parser_for(detector), watcher.counts.records
        deliver = partial(_deliver, json=json)
        live = Runner(watcher, reader, source, deliver, follow=follow, end=end, alarm_file=alarms, tell=tell)
        stopped = live.run()
        _report(watcher, live, reader, json=json)
        if reader.trouble.count and watcher.counts.records == read_before:
            raise no_records_error([source], reader.trouble, describe_format(detector))
    if live.flagged:
        return FLAGGED
    return INTERRUPTED if stopped and not follow else DONE


def _deliver(alarm: str, *, json: bool) -> None:
    """Prints an alarm, which comes as JSON."""
    from onward.watch.stream.alarms import alarm_line  # noqa: PLC0415 - torch, which `--help` does without

    emit(f"{alarm}\n" if json else alarm_line(encoding.loads(alarm)) + "\n")


def _report(watcher: "Monitor", live: "Runner", reader: "RecordParser", *, json: bool) -> None:
    """What the watch has seen."""
    from onward.watch.stream.report import report, report_lines  # noqa: PLC0415 - torch, which `--help` does without

    found = report(watcher, live)
    if json:
        emit_json({"summary": found})
    for line in report_lines(found, reader.trouble):
        say(line)
