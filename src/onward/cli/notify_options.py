"""Options that name the targets of notices, for `onward watch run` and `onward serve`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onward.errors import InputError

if TYPE_CHECKING:
    from onward.watch.notify.targets import Targets

SECRET_VARIABLE = "ONWARD_WEBHOOK_SECRET"

Webhooks = Annotated[
    list[str] | None,
    typer.Option(
        "--webhook",
        metavar="URL",
        envvar="ONWARD_WEBHOOK",
        help="POST each incident to this URL when it opens and when it is closed; can be repeated.",
    ),
]
WebhookSecret = Annotated[
    Path | None,
    typer.Option(
        "--webhook-secret",
        metavar="FILE",
        help="Sign webhooks with the secret in this file (HMAC-SHA256). Default: the secret in the variable "
        f"{SECRET_VARIABLE}, if there is one.",
    ),
]
Alertmanagers = Annotated[
    list[str] | None,
    typer.Option(
        "--alertmanager",
        metavar="URL",
        help="Keep an alert in this Prometheus Alertmanager while an incident is open; can be repeated.",
    ),
]
Syslogs = Annotated[
    list[str] | None,
    typer.Option(
        "--syslog",
        metavar="ADDRESS",
        help="Send each incident to syslog (RFC 5424) when it opens and when it is closed: local, "
        "udp://HOST:514 or tcp://HOST:601; can be repeated.",
    ),
]


def targets_of(
    webhooks: Sequence[str] | None,
    secret: Path | None,
    alertmanagers: Sequence[str] | None,
    syslogs: Sequence[str] | None,
) -> "Targets":
    """Returns the targets of the options.

    Raises:
        InputError: the file of the secret cannot be read.
    """
    from onward.watch.notify.targets import Targets  # noqa: PLC0415 - heavy libraries, which `--help` avoids

    return Targets(
        webhooks=webhooks or (),
        secret=_read(secret) if secret else os.environ.get(SECRET_VARIABLE),
        alertmanagers=alertmanagers or (),
        syslogs=syslogs or (),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        hint = "name a text file that holds the secret"
        raise InputError(f"cannot read the secret of the webhooks in {path}: {reason}", hint=hint) from error
