"""Options that several commands of `onward watch` share."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onward.errors import InputError

if TYPE_CHECKING:
    from onward.watch.stream.alarm_budget import AlarmBudget

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
        help=f"{_RATE}. Default: 0.1%, or with few sequences the smallest rate that flags two of the "
        "calibration set.",
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

_BUDGET = (
    "open at most about N incidents per hour, day or week, by the times of the records. This replaces the "
    "limit that follows from --false-alarms. The threshold never falls below that of --false-alarms, so "
    "there may be fewer incidents"
)
Alarms = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N/TIME|FILE",
        help=f"N/TIME, such as 3/day: {_BUDGET}. FILE: append each alarm, and each incident that is closed, "
        "to this file exactly once, as a line of JSON. May be given twice, once for each.",
    ),
]
AlarmsServed = Annotated[
    str | None,
    typer.Option(metavar="N/TIME", help=f"Such as 3/day: {_BUDGET}."),
]
Learns = Annotated[
    bool,
    typer.Option(
        "--learn/--no-learn",
        help="Learn from the sequences that are not flagged.",
    ),
]

_BUDGET_PATTERN = re.compile(r"[\d.]+\s*/\s*[a-z]+")
"""The form of a budget. Its number and its unit may still be wrong."""

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


def alarm_options(values: list[str] | None) -> tuple["AlarmBudget | None", Path | None]:
    """Returns the budget and the file that `--alarms` names.

    Raises:
        InputError: a budget is malformed, or there are two budgets or two files.
    """
    from onward.watch.stream.alarm_budget import AlarmBudget  # noqa: PLC0415

    budgets = [value for value in values or () if _BUDGET_PATTERN.fullmatch(value)]
    files = [value for value in values or () if value not in budgets]
    for found in (budgets, files):
        if len(found) > 1:
            raise InputError(
                f"expected --alarms with at most one budget and one file, got {found[0]} and {found[1]}",
                hint="write it as --alarms 3/day --alarms alarms.jsonl",
            )
    return AlarmBudget.parse(budgets[0]) if budgets else None, Path(files[0]) if files else None


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
