"""The command `onward`: its commands, and what becomes of an error."""

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
from onward.cli.info import info
from onward.cli.lesson import lesson
from onward.cli.misuse import misuse
from onward.cli.novelty import novelty
from onward.cli.output import DONE, FAILED, INTERRUPTED, MISUSED, UNREAD, complain, emit, say
from onward.cli.score import score
from onward.cli.serve import serve
from onward.cli.train import train
from onward.cli.watch import watch
from onward.cli.write import write
from onward.errors import InputError, Interrupted, OnwardError

app = typer.Typer(
    name="onward",
    cls=Group,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for command in (train, write, complete, score, serve, novelty, info, lesson, draw):
    app.command(cls=Command)(command)
app.add_typer(watch)


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"onward {onward.__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn what comes next in any sequence of symbols, then write it, complete it, or watch it.

    \b
    onward train pydoc -o pydoc.onward --minutes 2     learn (pydoc: Python's own manual, built in)
    onward write pydoc.onward --prime "The "           write on
    onward score pydoc.onward some.txt                 how surprising is a text?
    """
    if context.invoked_subcommand is None:
        emit(context.get_help() + "\n")


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. Only a bug of ours leaves as an exception."""
    try:
        code = app(list(arguments), prog_name="onward", standalone_mode=False)
        sys.stdout.flush()
    except (typer.TyperException, OnwardError, OSError) as error:
        return _explain(error)
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # of which Typer itself makes an exit
            return UNREAD
        raise
    if code == INTERRUPTED:
        say("interrupted")
    return code if isinstance(code, int) else DONE


def _explain(error: typer.TyperException | OnwardError | OSError) -> int:
    """Says what went wrong, and returns the exit code for it."""
    match error:
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            complain(misuse(error), f"{context.command_path} --help" if context else "")
            return error.exit_code
        case Interrupted():
            say(str(error))
            complain("", error.hint)
            return INTERRUPTED
        case OnwardError():
            complain(str(error), error.hint)
            return MISUSED if isinstance(error, InputError) else FAILED
        case BrokenPipeError():
            return UNREAD
        case OSError(errno=errno.ENOSPC | errno.EFBIG | errno.EDQUOT | errno.EIO, filename=None):
            complain(f"cannot write to standard output: {error.strerror}", "make room, or send it elsewhere")
            return FAILED
        case _:
            complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
            return FAILED


def _open_streams() -> None:
    """Output that was closed goes nowhere; what its encoding does not have is written as an escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end
        elif stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """The entry point of the installed command."""
    _open_streams()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # The reader of the pipe has gone; without this the interpreter would complain while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
