"""Options that commands of `onward watch` share."""

import re
from typing import Annotated

import typer

from onward.errors import InputError

Detector = Annotated[str, typer.Argument(metavar="MODEL", help="A detector that `onward watch learn` made.")]
FalseAlarms = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Share of normal sequences that may be flagged, such as 0.1%."),
]
TopK = Annotated[
    int | None,
    typer.Option(
        metavar="K", help="DeepLog's rule instead: flag an event that is not among the K likeliest."
    ),
]


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def share(text: str, option: str) -> float:
    """A share as a user writes it, 0.1% or 0.001.

    Raises:
        InputError: it is none between 0 and 1.
    """
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise InputError(f"{option} must be a share between 0 and 1, such as 0.1% or 0.001, got {text!r}")
    return value


def duration(text: str, option: str) -> float:
    """Seconds of a time as a user writes it: 90, 90s, 15m, 2h, 1d.

    Raises:
        InputError: it is none, or not above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if seconds <= 0:
        raise InputError(f"{option} must be a time such as 90s, 15m, 2h or 1d, got {text!r}")
    return seconds
