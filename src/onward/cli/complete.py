"""`onward complete`: the likeliest continuations of a text, once, line by line, or as one types."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

import onward
from onward.cli.options import Json, Model
from onward.cli.output import emit_json, emit_row, messages, say
from onward.errors import InputError
from onward.printable import printable

if TYPE_CHECKING:
    from onward.inference.completion.options import Completions
    from onward.inference.session import Session

_WORTH_A_KEY = 2
"""Characters that it takes for a continuation to be shown to who types: one is as quickly typed as taken."""


def complete(
    model: Model,
    prime: Annotated[str | None, typer.Option("--prime", "-p", help="Text to complete.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many continuations, at most.")] = 5,
    until: Annotated[
        str, typer.Option(metavar="word|line|K", help="Up to the end of a word, of a line, or K symbols.")
    ] = "word",
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Learn from what is read or typed, after it was read.")
    ] = False,
    json: Json = False,
) -> None:
    """Complete a text: the likeliest continuations, with their probabilities, the likeliest first.

    \b
    onward complete nietzsche.onward --prime "the phil"
    onward complete nietzsche.onward --prime "what is " --until line --json
    echo "what is the mean" | onward complete nietzsche.onward
    onward complete nietzsche.onward

    Without --prime it is a line editor: what could follow is shown in grey,
    Tab takes it, the arrows up and down show the others, Esc hides it, Enter
    ends a line, Ctrl-D ends. Lines that come through a pipe are completed one
    by one, each as what follows the lines before it.

    A table says where others may be likelier: words are looked for among a
    bounded number of beginnings, lines and lengths by a beam.
    """
    boundary = _until(until)
    trained = onward.load(model)
    session = trained.session(weights="fp32")
    if adapt:
        session.adapt()

    def ask(started: str, shortest: int = 1) -> "Completions":
        return session.complete(started, n=count, until=boundary, shortest=shortest)

    if prime is not None:
        if unknown := trained.unknown_symbols(prime):
            say(f"{unknown} of the prime's symbols are unknown to this model", style="dim")
        started = _read_whole(session, prime, adapt)
        _show(prime, ask(started), json, is_first=True)
    elif sys.stdin.isatty():
        if json:
            raise InputError("--json needs a text to complete", hint="give it as --prime, or through a pipe")
        _edit(session, lambda started: ask(started, _WORTH_A_KEY))
    else:
        _follow(session, ask, json)


def _until(text: str) -> Any:
    """The boundary as Python has it."""
    if text.isdecimal() and int(text):
        return int(text)
    if text not in ("word", "line"):
        raise InputError(f"expected --until to be word, line or a number from 1 on, got {text!r}")
    return text


def _read_whole(session: "Session", text: str, adapt: bool) -> str:
    """What is left to complete once a session that learns has read the text but for the word at its end."""
    if not adapt:
        return text
    head = text.rstrip("".join(char for char in set(text) if char.isalnum() or char == "_"))
    session.feed(head)
    return text[len(head) :]


def _follow(session: "Session", ask: "Callable[[str], Completions]", json: bool) -> None:
    """Completes each line of standard input."""
    from onward.data.vocabulary import REPLACEMENT, as_text  # noqa: PLC0415 - NumPy, which `--help` does without

    read_as = "U+FFFD" if session.vocabulary.kind == "bytes" else "the unknown symbol"
    for number, line in enumerate(sys.stdin.buffer):  # as bytes: not all that comes need be UTF-8
        text = as_text(line.rstrip(b"\r\n"))
        if invalid := text.count(REPLACEMENT) - line.count(REPLACEMENT.encode()):
            say(f"line {number + 1}: {invalid} invalid bytes read as {read_as}")
        _show(text, ask(text), json, is_first=number == 0)
        session.feed(text + "\n")


def _show(prime: str, found: "Completions", json: bool, *, is_first: bool) -> None:
    """Prints continuations: an object, a table for a person, or rows for a program."""
    rows = [{"text": one.text, "probability": one.probability} for one in found]
    if json:
        emit_json({"prime": prime, "completions": rows, "exact": found.exact, "steps": found.steps})
    elif sys.stdout.isatty():
        table = Table("probability", "continuation", box=None)
        for one in found:
            table.add_row(f"{one.probability:.4f}", Text(printable(one.text)))
        console = messages()
        console.file = sys.stdout
        console.print(table)
        if not found.exact:
            say(f"others may be likelier: the search ended after {found.steps:,} beginnings", style="dim")
    else:
        for number, row in enumerate(rows):
            emit_row({"prime": prime, **row}, header=is_first and number == 0)
    if not found and not json:
        say("no continuation is likely enough to be given")


def _edit(session: "Session", ask: "Callable[[str], Completions]") -> None:
    """Asks for line after line at a terminal."""
    from onward.cli.editor import Editor  # noqa: PLC0415 - not on the way to --help

    say("Tab takes what is grey, up and down show others, Ctrl-D ends", style="dim")
    editor = Editor(lambda text: [one.text for one in ask(text)])
    while (line := editor.line()) is not None:
        session.feed(line + "\n")
