"""Options that several commands of `onward watch` share."""

import re
from typing import Annotated

import typer

from onward.errors import InputError

DetectorPath = Annotated[str, typer.Argument(metavar="MODEL", help="Detector made by `onward watch learn`.")]
_RATE = "Share of normal sequences that may be flagged"
FalseAlarms = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help=f"{_RATE}, such as 0.1%. Default: the rate of the detector."),
]
FalseAlarmsServed = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Share of normal sequences that a detector may flag, such as 0.1%. "
        "Default: the rate of each detector.",
    ),
]
FalseAlarmsLearned = Annotated[
    str | None,
    typer.Option(
        "--false-alarms",
        metavar="SHARE",
        help=f"{_RATE}. Default: 0.1%, or the smallest rate that the number of sequences allows.",
    ),
]
TopKOption = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Flag a sequence if one of its events is not among the K most likely ones (DeepLog's rule). "
        "This replaces --false-alarms.",
    ),
]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def refuse_both(first: tuple[str, object], second: tuple[str, object], remedy: str = "leave one out") -> None:
    """Checks that at most one of two options was given. None and False mean that an option was not given.

    Raises:
        InputError: both were given.
    """
    if all(value is not None and value is not False for _, value in (first, second)):
        raise InputError(f"expected either {first[0]} or {second[0]}, got both", hint=remedy)


def rate_of(false_alarms: str | None, top_k: int | None) -> float | None:
    """Returns the false-alarm rate of the options, if any.

    Raises:
        InputError: the rate is not a share, or both options were given.
    """
    refuse_both(("--false-alarms", false_alarms), ("--top-k", top_k))
    return None if false_alarms is None else share(false_alarms, "--false-alarms")


def share(text: str, option: str) -> float:
    """Returns a share that is written as 0.1% or 0.001.

    Raises:
        InputError: the text is not a share between 0 and 1.
    """
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise InputError(
            f"{option} must be a share between 0 and 1, got {text!r}", hint="write it as 0.1% or 0.001"
        )
    return value


def duration(text: str, option: str) -> float:
    """Returns the seconds of a time that is written as 90, 90s, 15m, 2h or 1d.

    Raises:
        InputError: the text is not a time above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if seconds <= 0:
        raise InputError(
            f"{option} must be a time above 0, got {text!r}", hint="write it as 90s, 15m, 2h or 1d"
        )
    return seconds
