"""`onward watch run`: prints incidents of a file or a stream as they open."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from onward.cli.notify_options import Alertmanagers, Syslogs, Webhooks, WebhookSecret, targets_of
from onward.cli.output import DONE, FLAGGED, INTERRUPTED, announce_standard_input, say
from onward.cli.stream_options import (
    AlarmsTopic,
    GroupOption,
    KafkaConfig,
    PartitionsOption,
    StreamOptions,
    alarm_topic,
    settings_of,
    watch_stream,
)
from onward.cli.watch_options import (
    Alarms,
    DetectorPath,
    FalseAlarms,
    Learns,
    TopKOption,
    alarm_options,
    duration,
    rate_of,
    refuse_both,
)


def run(
    model: DetectorPath,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file (also compressed), - for standard input, kafka://HOST[:PORT]/TOPIC, or "
            "redis://HOST[:PORT]/STREAM.",
        ),
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
            "this file continues from there. Streams: a folder with a file for each partition."
        ),
    ] = None,
    group: GroupOption = None,
    partitions: PartitionsOption = None,
    kafka_config: KafkaConfig = None,
    alarms: Alarms = None,
    alarms_topic: AlarmsTopic = None,
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
    onward watch run web.onward kafka://localhost:9092/web -f --group web --state states

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
    from onward.cli.watched import SourceWatch, WatchOptions  # noqa: PLC0415 - torch, which `--help` avoids
    from onward.scale.address import is_stream  # noqa: PLC0415
    from onward.watch.datasets import format_hint, no_records_error  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415
    from onward.watch.evaluation.summary import can_never_alarm, never_alarms_message  # noqa: PLC0415
    from onward.watch.stream.runner import no_work, open_lines, run_all  # noqa: PLC0415

    notify = partial(say, style="yellow")
    targets = targets_of(webhook, webhook_secret, alertmanager, syslog)
    targets.notifiers(Path(model).stem)  # refuses wrong ones before the detector is loaded
    detector = Detector.load(model).with_rate(rate_of(false_alarms, top_k), top_k)
    budget, alarms_file = alarm_options(alarms)
    stream = StreamOptions(group=group, partitions=partitions, settings=settings_of(kafka_config))
    options = WatchOptions(
        detector=detector,
        name=Path(model).stem,
        idle=duration(idle, "--idle") if idle is not None else None,
        budget=budget,
        learns=learn,
        in_memory=in_memory,
        end=end,
        targets=targets,
        sink=alarm_topic(alarms_topic, stream.settings, source),
        json=json,
    )
    announce_standard_input([source])
    if can_never_alarm(detector):
        notify(never_alarms_message(detector))
    with ExitStack() as stack:
        if is_stream(source):
            refuse_both(("--follow-links", follow_links), ("the address of a stream", True))
            watches, between = watch_stream(
                source, stream, options, stack, follow=follow, state=state, alarms=alarms_file
            )
        else:
            stream.refuse_for(source)
            opener = partial(open_lines, source, follow=follow, follow_links=follow_links, notify=notify)
            watches = [SourceWatch(options, opener, stack, state=state, alarms=alarms_file)]
            between = no_work
        stopped = run_all([watch.runner for watch in watches], between)
        for watch in watches:
            watch.report()
        unreadable = [watch.unreadable for watch in watches if watch.unreadable.count]
        if unreadable and not any(watch.has_read for watch in watches):
            raise no_records_error([source], unreadable[0], format_hint(detector))
    if any(watch.runner.delivered for watch in watches):
        return FLAGGED
    return INTERRUPTED if stopped and not follow else DONE
