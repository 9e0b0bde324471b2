"""The command `onward`: its subcommands, and how it reports errors."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import onward
from onward.cli.command import Command, Group
from onward.cli.complete import complete
from onward.cli.draw import draw
from onward.cli.export import export
from onward.cli.info import info
from onward.cli.lesson import lesson
from onward.cli.lsp import lsp
from onward.cli.novelty import novelty
from onward.cli.output import DONE, FAILED, INTERRUPTED, MISUSED, UNREAD, complain, emit, say
from onward.cli.score import score
from onward.cli.serve import serve
from onward.cli.terminal import guard_streams
from onward.cli.train import train
from onward.cli.watch import watch
from onward.cli.write import write
from onward.errors import InputError, Interrupted, LostProcess, OnwardError

app = typer.Typer(
    name="onward",
    cls=Group,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (train, write, complete, score, serve, lsp, novelty, info, lesson, draw, export):
    app.command(cls=Command)(command)
app.add_typer(watch)


_PLAIN = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "less than or equal to": "at most",
    "greater than or equal to": "at least",
}
"""Plainer replacements for words in pydantic's messages."""


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"onward {onward.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn what comes next in any sequence of symbols; then write, complete, score or watch such sequences.

    \b
    onward train pydoc -o pydoc.onward --minutes 2   train on a built-in text
    onward write pydoc.onward --prime "The "         continue a text
    onward score pydoc.onward some.txt               measure its surprise
    """
    if context.invoked_subcommand is None:
        emit(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Runs a command line, and returns its exit code. Only a bug in onward raises an exception."""
    try:
        code = app(list(arguments), prog_name="onward", standalone_mode=False)
        sys.stdout.flush()
    except (typer.TyperException, OnwardError, OSError) as error:
        return _explain(error)
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # Typer turns it into an exit
            return UNREAD
        raise
    if code == INTERRUPTED:
        say("interrupted")
    return code if isinstance(code, int) else DONE


def _explain(error: typer.TyperException | OnwardError | OSError) -> int:
    """Reports an error, and returns its exit code."""
    match error:
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            complain(_misuse(error), f"{context.command_path} --help" if context else "")
            return error.exit_code
        case Interrupted():
            say(str(error))
            complain("", error.hint)
            return INTERRUPTED
        case OnwardError():
            if not isinstance(error, LostProcess) or error.reports:
                complain(str(error), error.hint)
            return MISUSED if isinstance(error, InputError) else FAILED
        case BrokenPipeError():
            return UNREAD
        case OSError(errno=errno.ENOSPC | errno.EFBIG | errno.EDQUOT | errno.EIO, filename=None):
            complain(
                f"cannot write to standard output: {error.strerror}",
                "free some disk space, or write elsewhere",
            )
            return FAILED
        case _:
            complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
            return FAILED


def _misuse(error: typer.TyperException) -> str:
    """Returns the message for a wrong command line. A wrong value has the form "expected ..., got ..."."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` does without it

    parameter = getattr(error, "param", None)
    if parameter is None or not isinstance(error.__cause__, ValidationError):
        return error.format_message()
    problem = error.__cause__.errors()[0]
    message = problem["msg"].partition(", unable")[0].rstrip(".")
    for theirs, ours in _PLAIN.items():
        message = message.replace(theirs, ours)
    expected = message.partition("Input should be ")[2] or f"one of {message.partition(' is not one of ')[2]}"
    return f"expected {max(parameter.opts, key=len)} to be {expected}, got {problem['input']!r}"


def _open_streams() -> None:
    """Replaces closed streams with the null device; open ones escape characters that they cannot encode."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - stays open
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Runs the command line of the process."""
    _open_streams()
    guard_streams()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # The reader of the pipe has ended. Without this, the interpreter prints an error when it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
