"""Options that commands of `onward watch` share."""

import re
from typing import Annotated

import typer

from onward.errors import InputError

Detector = Annotated[str, typer.Argument(metavar="MODEL", help="A detector that `onward watch learn` made.")]
_SHARE = "Share of normal sequences that may be flagged, such as 0.1%"
FalseAlarms = Annotated[
    str | None, typer.Option(metavar="SHARE", help=f"{_SHARE}; by default that of the detector.")
]
FalseAlarmsLearned = Annotated[
    str | None, typer.Option("--false-alarms", metavar="SHARE", help=f"{_SHARE}, which is the default.")
]
TopK = Annotated[
    int | None,
    typer.Option(
        metavar="K", help="DeepLog's rule instead: flag an event that is not among the K likeliest."
    ),
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def refuse_both(first: tuple[str, object], second: tuple[str, object], remedy: str = "leave one out") -> None:
    """Refuses two options of which one would be ignored; None and False are options that were not given.

    Raises:
        InputError: both were.
    """
    if all(value is not None and value is not False for _, value in (first, second)):
        raise InputError(f"expected either {first[0]} or {second[0]}, got both", hint=remedy)


def rate_of(false_alarms: str | None, top_k: int | None) -> float | None:
    """The rate that a user asks for, if any; DeepLog's rule has none.

    Raises:
        InputError: it is no share, or both rules are asked for.
    """
    refuse_both(("--false-alarms", false_alarms), ("--top-k", top_k))
    return None if false_alarms is None else share(false_alarms, "--false-alarms")


def character(text: str) -> str:
    """A delimiter as a user writes it: a tab may be its name, or as Python writes it."""
    return "\t" if text in ("tab", "\\t") else text


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
