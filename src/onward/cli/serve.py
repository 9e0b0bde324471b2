"""`onward serve`: models over HTTP."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from onward.cli.output import say
from onward.cli.watch_options import FalseAlarms, duration, share
from onward.errors import InputError


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Models that `onward train` or `onward watch learn` made."),
    ],
    host: Annotated[
        str, typer.Option(help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 8000,
    state: Annotated[
        Path | None,
        typer.Option(help="A file that keeps the sessions, or the watch: they survive a restart."),
    ] = None,
    idle: Annotated[
        str, typer.Option(metavar="TIME", help="A watched sequence without a record for so long has ended.")
    ] = "1h",
    false_alarms: FalseAlarms = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", "-c", exists=True, help="Where /v1/novelty looks; may be repeated."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="ONWARD_TOKEN", help="What requests must carry as a bearer token.")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages may use the server; may be repeated.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name by which the server is reached; may be repeated.")
    ] = None,
    sessions: Annotated[int, typer.Option(min=1, help="How many typing sessions are kept.")] = 1000,
    memory: Annotated[int, typer.Option(min=1, help="Megabytes that they may take.")] = 512,
    adapting: Annotated[int, typer.Option(min=0, help="How many of them may learn what is typed.")] = 8,
) -> None:
    """Serve models: pages, completions as OpenAI's clients ask for them, typing sessions, and watches.

    \b
    onward serve nietzsche.onward
    onward serve nietzsche.onward code.onward --port 8080 --state sessions.db
    onward serve audit.onward --state watch.db          a detector: records in, alarms out
    ONWARD_TOKEN=... onward serve nietzsche.onward --host 0.0.0.0

    Ctrl-C finishes what runs, and ends.
    """
    if token == "":
        raise InputError(
            "expected a token of at least one character, got an empty one",
            hint="unset ONWARD_TOKEN, or give it a secret of your own",
        )
    if token is None and not _is_loopback(host):
        raise InputError(
            f"expected a token to listen to {host}, which others can reach, got none",
            hint="give one in the variable ONWARD_TOKEN, or with --token",
        )
    from onward.serve.app import ServerSettings  # noqa: PLC0415 - starlette and torch load only here
    from onward.serve.http.guard import Policy  # noqa: PLC0415
    from onward.serve.http.limits import Limits  # noqa: PLC0415
    from onward.serve.server import serve as run  # noqa: PLC0415

    policy = Policy(token=token, hosts=tuple(allow_host or ()), origins=tuple(origin or ()))
    limits = Limits(sessions=sessions, session_megabytes=memory, adapting=adapting)
    settings = ServerSettings(
        models=models,
        corpus=corpus or (),
        state=state,
        idle=duration(idle, "--idle"),
        false_alarms=None if false_alarms is None else share(false_alarms, "--false-alarms"),
        policy=policy,
        limits=limits,
    )
    run(settings, host, port, lambda address: say(f"serving {address} (Ctrl-C ends)"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
