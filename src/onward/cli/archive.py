"""Options and progress of commands that work on many files at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from onward.cli.output import complain, messages, say
from onward.cli.progress import LINE_EVERY
from onward.errors import InputError, OnwardError, RunError

if TYPE_CHECKING:
    from onward.scale.archives.engine import ArchiveEngine, Job, Outcome

EngineName = Literal["processes", "ray"]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Work on N files at once, each in a process of this machine, on one thread."
    ),
]
EngineOption = Annotated[
    EngineName | None,
    typer.Option("--engine", help="What runs the workers: processes of this machine (the default), or Ray."),
]
Address = Annotated[
    str | None,
    typer.Option(help="The Ray cluster: auto, or the address of its head. Default: start one here."),
]


def engine_for(workers: int | None, name: EngineName | None, address: str | None) -> "ArchiveEngine | None":
    """Returns the engine that the options name; None if none of them was given.

    Raises:
        InputError: the options do not belong together.
        RunError: Ray is not installed, or there is no cluster.
    """
    if name != "ray":
        if address is not None:
            raise InputError("expected --address only together with --engine ray", hint="add --engine ray")
        if workers is None and name is None:
            return None
        from onward.scale.archives.processes import Processes  # noqa: PLC0415

        return Processes(1 if workers is None else workers)
    if address is not None and workers is not None:
        raise InputError(
            "expected either --workers or --address, got both",
            hint="leave out --workers: the cluster has as many workers as cores",
        )
    from onward.scale.archives.ray_tasks import RayTasks  # noqa: PLC0415

    return RayTasks(address, workers)


def report_failure(error: OnwardError, file: Path, files: Sequence[Path]) -> None:
    """Prints the error of one of several files.

    Raises:
        OnwardError: there is only this one file.
    """
    if len(files) == 1:
        raise error
    message = str(error)
    complain(message if str(file) in message else f"{file}: {message}", error.hint)


def failed_files(failed: int, total: int, done: str) -> RunError:
    """Returns the error of a command that did its work on the other files."""
    return RunError(f"{failed:,} of {total:,} files could not be {done}", hint="the errors above name them")


def showing_progress(engine: "ArchiveEngine", verb: str) -> "ArchiveEngine":
    """Returns an engine that shows how many items are done: a bar on a terminal, else a line now and then."""

    def run(job: "Job", items: Sequence[Any]) -> "Iterator[Outcome]":
        with _progress(verb, len(items)) as advance:
            for outcome in engine(job, items):
                advance()
                yield outcome

    return run


@contextmanager
def _progress(verb: str, total: int) -> Iterator[Callable[[], None]]:
    console = messages()
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(verb, total=total)
            yield lambda: bar.advance(task)
        return
    done, started = 0, time.monotonic()
    next_line = started + LINE_EVERY

    def advance() -> None:
        nonlocal done, next_line
        done, now = done + 1, time.monotonic()
        if now >= next_line and done < total:
            next_line = now + LINE_EVERY
            left = (now - started) / done * (total - done)
            say(f"{verb}: {done:,} of {total:,} files, about {left:,.0f} s left")

    yield advance
