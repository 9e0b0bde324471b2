"""`onward serve`: serves models and detectors over HTTP."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from onward.cli.notify_options import Alertmanagers, Syslogs, Webhooks, WebhookSecret, targets_of
from onward.cli.output import say
from onward.cli.watch_options import AlarmsServed, FalseAlarmsServed, Learns, duration, share
from onward.errors import InputError


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL",
            help="Files that `onward train` or `onward watch learn` made; or english or python, which come "
            "with onward.",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. An address that other machines can reach needs a token."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free port.")
    ] = 8000,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Save typing sessions, open sequences and alarms in this file. They then survive a restart."
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="Let the ids of typing sessions begin with s-NAME-, so that a proxy in front of several "
            "servers finds the server of a session."
        ),
    ] = "",
    idle: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Detectors: end a sequence when its key has had no record for this time, such as 90s or 2h. "
            "Default: twice the longest pause in training.",
        ),
    ] = None,
    open_sequences: Annotated[
        int, typer.Option(min=1, help="Maximum number of open sequences of each detector.")
    ] = 100_000,
    false_alarms: FalseAlarmsServed = None,
    alarms: AlarmsServed = None,
    learn: Learns = True,
    webhook: Webhooks = None,
    webhook_secret: WebhookSecret = None,
    alertmanager: Alertmanagers = None,
    syslog: Syslogs = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", "-c", exists=True, help="Text that /v1/novelty searches; can be repeated."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="ONWARD_TOKEN", help="Bearer token that requests must send.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Let pages of this web site use the server, such as https://example.org; can be repeated."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Accept requests for this host name too; can be repeated."),
    ] = None,
    sessions: Annotated[int, typer.Option(min=1, help="Maximum number of typing sessions.")] = 1000,
    memory: Annotated[
        int, typer.Option(min=1, help="Maximum memory of all typing sessions, in megabytes.")
    ] = 512,
    session_memory: Annotated[
        float,
        typer.Option(
            metavar="MB",
            help="Size in megabytes of each session's memory (n-gram counts of its text); it counts towards "
            "--memory. 0 turns it off.",
        ),
    ] = 4.0,
    disk: Annotated[
        int, typer.Option(min=1, help="Maximum size of the saved typing sessions, in megabytes.")
    ] = 1024,
    adapting: Annotated[
        int,
        typer.Option(
            min=0, help="Maximum number of adapting typing sessions: their model learns from the typed text."
        ),
    ] = 8,
) -> None:
    """Serve models and detectors: web pages, an OpenAI-compatible API, typing sessions, and alarms.

    \b
    onward serve nietzsche.onward
    onward serve nietzsche.onward code.onward --port 8080 --state sessions.db
    onward serve audit.onward --state watch.db        a detector: takes records, raises alarms
    ONWARD_TOKEN=... onward serve nietzsche.onward --host 0.0.0.0

    A typing session is one text that a user is typing, with its completions.
    Ctrl-C stops the server after the requests in progress are finished.
    """
    if not re.fullmatch(r"[A-Za-z0-9]{0,32}", name):
        raise InputError(
            f"expected a name of up to 32 letters and digits, got {name!r}", hint="write it as --name a"
        )
    if token == "":
        raise InputError(
            "expected a token of at least one character, got an empty one",
            hint="unset ONWARD_TOKEN, or set it to a secret",
        )
    if token is None and not _is_loopback(host):
        raise InputError(
            f"expected a token to listen on {host}, which other machines can reach, got none",
            hint="set the variable ONWARD_TOKEN, or use --token",
        )
    from onward.serve.app import ServerSettings  # noqa: PLC0415 - starlette and torch load only here
    from onward.serve.http.guard import Policy  # noqa: PLC0415
    from onward.serve.http.limits import Limits  # noqa: PLC0415
    from onward.serve.server import serve as run  # noqa: PLC0415
    from onward.serve.watch.settings import WatchSettings  # noqa: PLC0415
    from onward.watch.stream.alarm_budget import AlarmBudget  # noqa: PLC0415

    policy = Policy(token=token, hosts=tuple(allow_host or ()), origins=tuple(origin or ()))
    limits = Limits(
        sessions=sessions,
        session_megabytes=memory,
        session_memory=session_memory,
        stored_megabytes=disk,
        adapting=adapting,
        open_sequences=open_sequences,
    )
    settings = ServerSettings(
        models=models,
        corpus=corpus or (),
        state=state,
        watch=WatchSettings(
            idle=duration(idle, "--idle") if idle is not None else None,
            rate=None if false_alarms is None else share(false_alarms, "--false-alarms"),
            budget=None if alarms is None else AlarmBudget.parse(alarms),
            learns=learn,
        ),
        targets=targets_of(webhook, webhook_secret, alertmanager, syslog),
        policy=policy,
        limits=limits,
        name=name,
    )
    run(settings, host, port, lambda address: say(f"serving {address} (Ctrl-C stops it)"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
