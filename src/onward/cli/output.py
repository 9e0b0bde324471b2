"""The output of commands: data goes to standard output, everything else to standard error.

Files, logs, requests and models may contain control characters. All functions here escape them; only the
text that a model wrote reaches a pipe as it is.

    error: expected X, got Y      one line
    hint: the remedy              one line, if there is a remedy

Exit codes: 0 success, 1 the run failed, 2 misuse or wrong input, 3 `watch run` flagged something, 130
interrupted, 141 the reader of standard output has ended (the code that shells report after SIGPIPE).
"""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from onward.cli.terminal import SafeConsole
from onward.printable import printable, printable_json, without_controls

DONE, FAILED, MISUSED, FLAGGED, INTERRUPTED, UNREAD = 0, 1, 2, 3, 130, 141


def messages() -> Console:
    """Returns a console on the current standard error (tests replace the stream)."""
    return SafeConsole(stderr=True, highlight=False)


def say(text: str = "", *, style: str = "", console: Console | None = None) -> None:
    """Prints a line on standard error. It is not wrapped, so that it can be searched for.

    Args:
        text: the line.
        style: a style of Rich.
        console: the console that shows a progress bar, if there is one: the line comes above the bar.
    """
    (console or messages()).print(Text(printable(text), style=style), soft_wrap=True)


def complain(message: str, hint: str = "") -> None:
    """Prints an error and its remedy on standard error, one line each."""
    for label, style, text in (("error", "bold red", message), ("hint", "bold cyan", hint)):
        if text:
            line = printable(" ".join(text.split()))
            messages().print(Text.assemble((f"{label}:", style), " ", line), soft_wrap=True)


def announce_standard_input(sources: Sequence[str]) -> None:
    """Prints a message if `-` was given at a terminal, so that the user knows what the command waits for."""
    if "-" in sources and sys.stdin and sys.stdin.isatty():
        say("reading standard input; press Ctrl-D to end it")


def emit(line: str = "") -> None:
    """Writes a line to standard output, and flushes it for the reader of a pipe. Tabs stay."""
    _write(printable(line, keep="\t") + "\n")


def emit_text(text: str) -> None:
    """Writes text of a model to standard output; on a terminal without control characters."""
    _write(without_controls(text) if sys.stdout.isatty() else text)


def emit_json(data: dict[str, Any]) -> None:
    """Writes a JSON object to standard output, on one line."""
    _write(printable_json(data) + "\n")


def emit_row(row: dict[str, Any], *, header: bool) -> None:
    """Writes tab-separated values, after a row of their names if there is a header. Tabs are escaped."""
    if header:
        sys.stdout.write("\t".join(row) + "\n")
    cells = (f"{value:.4f}" if isinstance(value, float) else printable(str(value)) for value in row.values())
    sys.stdout.write("\t".join(cells) + "\n")


def emit_facts(facts: dict[str, Any], indent: str = "") -> None:
    """Writes nested facts as an outline: names on the left, values in one column."""
    for name, value in facts.items():
        label = f"{indent}{name}"
        if isinstance(value, dict):
            emit(label)
            emit_facts(value, indent + "  ")
        else:
            emit(f"{label:<24}{_readable(value)}")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


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
