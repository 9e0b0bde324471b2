"""`onward watch run`: prints incidents of a file or a stream as they open."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onward.cli.notify_options import Alertmanagers, Syslogs, Webhooks, WebhookSecret, targets_of
from onward.cli.output import DONE, FLAGGED, INTERRUPTED, announce_standard_input, emit, emit_json, say
from onward.cli.watch_options import (
    Alarms,
    DetectorPath,
    FalseAlarms,
    Learns,
    TopKOption,
    alarm_options,
    duration,
    rate_of,
)

if TYPE_CHECKING:
    from onward.watch.stream.store import Notice


def run(
    model: DetectorPath,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A file (also compressed), or - for standard input."),
    ],
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Wait for more lines, even after the file is rotated, like tail -F."
        ),
    ] = False,
    follow_links: Annotated[
        bool,
        typer.Option(
            "--follow-links",
            help="If the log is replaced by a symbolic link to another folder, follow that link too.",
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Save the position in the source and the open sequences in this file. The next run with "
            "this file continues from there."
        ),
    ] = None,
    alarms: Alarms = None,
    webhook: Webhooks = None,
    webhook_secret: WebhookSecret = None,
    alertmanager: Alertmanagers = None,
    syslog: Syslogs = None,
    idle: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="End a sequence when its key has had no record for this time, such as 90s or 2h; close an "
            "incident when no alarm has joined it for this time. Default: twice the longest pause in "
            "training, and 1h for incidents.",
        ),
    ] = None,
    end: Annotated[
        bool | None,
        typer.Option(
            "--end/--no-end",
            help="When the source ends, --end ends the open sequences too, and --no-end keeps them for the "
            "next run. Default: --end; with --state, --no-end.",
        ),
    ] = None,
    false_alarms: FalseAlarms = None,
    top_k: TopKOption = None,
    learn: Learns = True,
    in_memory: Annotated[
        int,
        typer.Option(
            metavar="N", help="Maximum number of open sequences in memory; the others are kept on disk."
        ),
    ] = 20_000,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print each alarm, each incident that is closed, and then a summary, as one JSON object per "
            "line.",
        ),
    ] = False,
) -> int:
    """Watch events or log lines; print a line for each incident: alarms of one cause or key, close in time.

    \b
    onward watch run hdfs.onward new.gz
    onward watch run audit.onward audit.csv --false-alarms 0.5%
    onward watch run audit.onward audit.csv --follow --alarms 3/day
    onward watch run blocks.onward /var/log/hdfs.log --follow --state watch.db --alarms alarms.jsonl
    onward watch run blocks.onward /var/log/hdfs.log -f --state watch.db --webhook https://example.org/hook
    kubectl logs -f pod | onward watch run server.onward - --json

    Each line has six columns, separated by tabs: the time, the key, the
    p-value, the number and text of the line that caused the alarm, the reason,
    and the incident. Further alarms of an incident are only counted. When an
    incident of several alarms is closed, a line shows its keys, its number of
    alarms, and their cause.
    If more sequences are flagged than --false-alarms or --alarms allows, only
    those with the highest scores open incidents. The others are suppressed: they
    are only counted.
    Sequences that are not flagged are learned after they are scored, so what
    recurs becomes normal.
    The exit code is 3 if a sequence was flagged, and 0 if none was.
    """
    from onward.watch.datasets import format_hint, no_records_error, parser_for  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.summary import can_never_alarm, never_alarms_message  # noqa: PLC0415
    from onward.watch.stream.delivery import AlarmDelivery  # noqa: PLC0415
    from onward.watch.stream.monitor import Monitor  # noqa: PLC0415
    from onward.watch.stream.notifications import Notifications  # noqa: PLC0415
    from onward.watch.stream.report import report_lines, run_report  # noqa: PLC0415
    from onward.watch.stream.runner import Runner, open_lines  # noqa: PLC0415
    from onward.watch.stream.store import opened_store  # noqa: PLC0415

    notify = partial(say, style="yellow")
    notifiers = targets_of(webhook, webhook_secret, alertmanager, syslog).notifiers(Path(model).stem)
    detector = Detector.load(model).with_rate(rate_of(false_alarms, top_k), top_k)
    budget, alarms_file = alarm_options(alarms)
    announce_standard_input([source])
    if can_never_alarm(detector):
        notify(never_alarms_message(detector))
    with opened_store(state) as store:
        monitor = Monitor(
            detector,
            store,
            idle=duration(idle, "--idle") if idle is not None else None,
            budget=budget,
            learns=learn,
            in_memory=in_memory,
            notify=notify,
        )
        parser, read_before = parser_for(detector), monitor.counts.records
        lines = open_lines(source, store, follow=follow, follow_links=follow_links, notify=notify)
        notifications = Notifications(store, notifiers, notify)
        delivery = AlarmDelivery(store, partial(_print, json=json), alarms_file, notifications)
        runner = Runner(monitor, parser, lines, delivery, end=end, notify=notify)
        stopped = runner.run()
        report = run_report(monitor, runner) | {"targets": notifications.to_json()}
        if json:
            emit_json({"summary": report})
        for line in [*report_lines(report, parser.unreadable), *notifications.lines()]:
            say(line)
        if parser.unreadable.count and monitor.counts.records == read_before:
            raise no_records_error([source], parser.unreadable, format_hint(detector))
    if runner.delivered:
        return FLAGGED
    return INTERRUPTED if stopped and not follow else DONE


def _print(notice: "Notice", *, json: bool) -> None:
    """Prints an alarm or a closed incident; for people only if it tells them something new."""
    if json:
        emit(notice.encode())
    elif notice.is_news:
        emit(notice.as_line())
