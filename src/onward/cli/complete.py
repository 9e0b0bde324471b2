"""`onward complete`: completes a text, each line of a pipe, or the line that the user types."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from onward.cli.options import MEGABYTES, Json, Memory, Model
from onward.cli.output import emit_json, emit_row, messages, say
from onward.cli.text_model import load_text_model
from onward.errors import InputError
from onward.printable import printable

if TYPE_CHECKING:
    from onward.inference.completion.options import Completions
    from onward.inference.session import Session

_SHORTEST_SUGGESTION = 2  # characters; typing one character is as fast as accepting it


def complete(
    model: Model,
    prime: Annotated[str | None, typer.Option("--prime", "-p", help="Text to complete.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="Maximum number of completions.")] = 5,
    until: Annotated[
        str,
        typer.Option(
            metavar="word|line|K",
            help="Complete up to the end of the word, up to the end of the line, or by K symbols.",
        ),
    ] = "word",
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="Let a copy of the model's weights learn from the text too. The model file does not change.",
        ),
    ] = False,
    memory: Memory = MEGABYTES,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="For other programs: answer edits on standard input, one JSON object a line.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Print the likeliest completions of a text, with their probabilities.

    \b
    onward complete english --prime "Thank you for your let"
    onward complete nietzsche.onward --prime "the phil"
    onward complete nietzsche.onward --prime "what is " --until line --json
    echo "what is the mean" | onward complete nietzsche.onward
    onward complete nietzsche.onward
    onward complete nietzsche.onward --follow      for other programs

    Without --prime, a line editor opens. It shows a completion in grey: Tab
    accepts it, the up and down arrows show others, Esc hides it. Ctrl-D ends
    the editor. If standard input is a pipe, the command completes each line.
    Before it completes a line, the model reads the lines before it.

    The search is limited. If it was cut short, a note says so: other
    completions may then be more likely.
    """
    boundary = _until(until)
    if follow:
        if prime is not None:
            raise InputError(
                "expected --follow without --prime, got both", hint='send the text as a line: {"text": "..."}'
            )
        _follow_edits(model, count, boundary, adapt=adapt, memory=memory)
        return
    trained = load_text_model(model)
    session = trained.session(memory=memory)
    if adapt:
        session.adapt()

    def ask(started: str, shortest: int = 1) -> "Completions":
        return session.complete(started, n=count, until=boundary, shortest=shortest)

    if prime is not None:
        if unknown := trained.unknown_symbols(prime):
            say(f"the model does not know {unknown} of the prime's symbols", style="dim")
        started = _feed_head(session, prime) if adapt else prime
        _show(prime, ask(started), json, is_first=True)
    elif sys.stdin.isatty():
        if json:
            raise InputError(
                "--json needs a text to complete",
                hint="give --prime, or pipe a text into the command",
            )
        _edit(session, lambda started: ask(started, _SHORTEST_SUGGESTION))
    else:
        _follow(session, ask, json)


def _follow_edits(model: str, count: int, until: Any, *, adapt: bool, memory: float) -> None:
    """Runs a typing session on standard input and output."""
    from onward.cli.follow import follow  # noqa: PLC0415 - loads PyTorch and the server's sessions

    learn = ("both" if memory else "weights") if adapt else ("memory" if memory else "none")
    follow(model, count=count, until=until, learn=learn, memory=memory)


def _until(text: str) -> Any:
    if text.isdecimal() and int(text):
        return int(text)
    if text not in ("word", "line"):
        raise InputError(f"expected --until to be word, line, or a number above 0, got {text!r}")
    return text


def _feed_head(session: "Session", text: str) -> str:
    """Feeds a text without its last word to a session that adapts, and returns the last word."""
    from onward.data.words import last_word_length  # noqa: PLC0415 - `--help` needs no NumPy

    head = text[: len(text) - last_word_length(text)]
    session.feed(head)
    return text[len(head) :]


def _follow(session: "Session", ask: "Callable[[str], Completions]", json: bool) -> None:
    """Completes each line of standard input."""
    from onward.data.encodings import text_of  # noqa: PLC0415 - `--help` needs no NumPy
    from onward.data.vocabulary import REPLACEMENT, as_text  # noqa: PLC0415

    read_as = "U+FFFD" if session.vocabulary.kind == "bytes" else "the unknown symbol"
    lines = text_of(sys.stdin.buffer, Path("standard input"))
    for number, line in enumerate(lines):  # the bytes need not be UTF-8
        text = as_text(line.rstrip(b"\r\n"))
        if invalid := text.count(REPLACEMENT) - line.count(REPLACEMENT.encode()):
            say(f"line {number + 1}: {invalid} invalid bytes, read as {read_as}")
        _show(text, ask(text), json, is_first=number == 0)
        session.feed(text + "\n")


def _show(prime: str, found: "Completions", json: bool, *, is_first: bool) -> None:
    """Prints completions: as JSON, as a table on a terminal, else as tab-separated rows."""
    rows = [{"text": one.text, "probability": one.probability} for one in found]
    if json:
        emit_json({"prime": prime, "completions": rows, "exact": found.exact, "steps": found.steps})
    elif sys.stdout.isatty():
        table = Table("probability", "completion", box=None)
        for one in found:
            table.add_row(f"{one.probability:.4f}", Text(printable(one.text)))
        console = messages()
        console.file = sys.stdout
        console.print(table)
        if not found.exact:
            say(
                f"the search was cut short after {found.steps:,} prefixes: "
                "other completions may be more likely",
                style="dim",
            )
    else:
        for number, row in enumerate(rows):
            emit_row({"prime": prime, **row}, header=is_first and number == 0)
    if not found and not json:
        say("no completion is likely enough")


def _edit(session: "Session", ask: "Callable[[str], Completions]") -> None:
    """Runs the line editor."""
    from onward.cli.editor import Editor  # noqa: PLC0415 - `--help` needs no editor

    say("Tab accepts the grey text, up and down show others, Ctrl-D ends", style="dim")
    editor = Editor(lambda text: [one.text for one in ask(text)])
    while (line := editor.line()) is not None:
        session.feed(line + "\n")
