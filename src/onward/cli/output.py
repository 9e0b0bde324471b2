"""What every command says, and where: data on standard output, everything else on standard error.

    error: what was expected, what was received        one line, always
    hint: the remedy                                   one line, where there is one

Exit codes: 0 done, 1 the run failed, 2 misuse or bad input, 130 interrupted.
"""

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def messages() -> Console:
    """The console on standard error, as it is now (tests replace the stream)."""
    return Console(stderr=True, highlight=False)


def say(text: str = "", *, style: str = "") -> None:
    """One message for the person, on standard error; never wrapped, so that it can be searched for."""
    messages().print(Text(text, style=style), soft_wrap=True)


def complain(message: str, hint: str = "") -> None:
    """An error and its remedy, each on one line."""
    for label, style, text in (("error", "bold red", message), ("hint", "bold cyan", hint)):
        if text:
            line = " ".join(text.split())
            messages().print(Text.assemble((f"{label}:", style), " ", line), soft_wrap=True)


def emit(text: str) -> None:
    """Data, on standard output at once, so that a reader at the other end of a pipe need not wait."""
    sys.stdout.write(text)
    sys.stdout.flush()


def emit_json(data: dict[str, Any]) -> None:
    """One JSON object on one line of standard output."""
    emit(json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")
