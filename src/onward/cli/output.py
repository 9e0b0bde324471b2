"""What every command says, and where: data on standard output, everything else on standard error.

    error: what was expected, what was received        one line, always
    hint: the remedy                                   one line, where there is one

Exit codes: 0 done, 1 the run failed, 2 misuse or bad input, 3 `watch run` flagged something, 130 interrupted,
141 the reader of standard output has gone (what a shell says of a program that SIGPIPE ended).
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from onward.printable import printable, without_controls

DONE, FAILED, MISUSED, FLAGGED, INTERRUPTED, UNREAD = 0, 1, 2, 3, 130, 141


def messages() -> Console:
    """The console on standard error, as it is now (tests replace the stream)."""
    return Console(stderr=True, highlight=False)


def say(text: str = "", *, style: str = "") -> None:
    """One message for the person, on standard error; never wrapped, so that it can be searched for."""
    messages().print(Text(printable(text, keep="\n"), style=style), soft_wrap=True)


def complain(message: str, hint: str = "") -> None:
    """An error and its remedy, each on one line."""
    for label, style, text in (("error", "bold red", message), ("hint", "bold cyan", hint)):
        if text:
            line = printable(" ".join(text.split()))
            messages().print(Text.assemble((f"{label}:", style), " ", line), soft_wrap=True)


def announce_standard_input(sources: Sequence[str]) -> None:
    """Tells someone who typed `-` at a terminal what is waited for."""
    if "-" in sources and sys.stdin and sys.stdin.isatty():
        say("reading standard input; end it with Ctrl-D")


def emit(text: str) -> None:
    """Data, on standard output at once, so that a reader at the other end of a pipe need not wait."""
    sys.stdout.write(text)
    sys.stdout.flush()


def emit_text(text: str) -> None:
    """What a model wrote: to a terminal without what would move its cursor, else as it is."""
    if sys.stdout.isatty():
        text = without_controls(text)
    emit(text)


def emit_json(data: dict[str, Any]) -> None:
    """One JSON object on one line of standard output."""
    emit(json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")


def emit_row(row: dict[str, Any], *, header: bool) -> None:
    """Tab-separated values, below their names if they are the first; tabs and other controls are escaped."""
    if header:
        sys.stdout.write("\t".join(row) + "\n")
    cells = (f"{value:.4f}" if isinstance(value, float) else printable(str(value)) for value in row.values())
    sys.stdout.write("\t".join(cells) + "\n")


def emit_facts(facts: dict[str, Any], indent: str = "") -> None:
    """Nested facts as an outline: names on the left, as options and JSON have them, values in one column."""
    for name, value in facts.items():
        label = f"{indent}{name}"
        if isinstance(value, dict):
            emit(f"{label}\n")
            emit_facts(value, indent + "  ")
        else:
            emit(f"{label:<24}{_readable(value)}\n")


def _readable(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.6g}"
        case None:
            return "none"
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
