"""The files that a command writes: their names, what they may replace, and the lock that one run holds."""

import fcntl
import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onward.errors import BusyError, InputError, WriteError


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint lies while the model is trained: nietzsche.onward.checkpoint."""
    return output.with_name(f"{output.name}.checkpoint")


def log_path(output: Path) -> Path:
    """Where the log lies: nietzsche.log.jsonl."""
    return _beside(output, ".log.jsonl")


def curves_path(output: Path) -> Path:
    """Where the picture of the losses lies: nietzsche.curves.png."""
    return _beside(output, ".curves.png")


def _beside(output: Path, suffix: str) -> Path:
    """A file that shares the model's name but for our own suffix."""
    return output.with_name(output.name.removesuffix(".onward") + suffix)


def refuse_to_replace(output: Path, sources: Iterable[Path]) -> None:
    """Refuses to write a model over a text that it is learned from, or over a file that is no model of ours.

    Raises:
        InputError: with the file that would be lost.
    """
    from onward.artefact import is_model  # noqa: PLC0415 - torch, which the names of outputs do without

    if not output.is_file():
        return
    if any(output.samefile(source) for source in sources if source.exists()):
        raise InputError(
            f"{output} is a source: the model would replace it", hint="name another file with -o"
        )
    if not is_model(output):
        told = f"{output} is there, and is no model of onward: it would be lost"
        raise InputError(told, hint="name another file with -o, or delete it first")


@contextmanager
def output_lock(output: Path) -> Iterator[None]:
    """Holds the right to write a model; it ends with the block, or with the process, however that ends.

    What killed runs left of files that they had begun to write is removed first.

    Raises:
        BusyError: another process holds it.
        InputError: the output is a folder.
        WriteError: its folder does not exist, or must not be written to.
    """
    if output.is_dir():
        raise InputError(
            f"expected a file to write the model to, got the folder {output}",
            hint=f"name a file in it, such as {output / 'model.onward'}",
        )
    model = Path(os.path.realpath(output))  # a link and what it leads to are one model
    path = model.with_name(f"{model.name}.lock")
    lock = _lock(path, output)
    try:
        _sweep(output)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def _lock(path: Path, output: Path) -> int:
    """The descriptor of the lock file, locked."""
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            hint = "check that the folder exists and may be written to"
            raise WriteError(f"cannot write {output}: {error.strerror}", hint=hint) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            hint = "wait until it ends, or write to another file with -o"
            raise BusyError(f"another run is writing {output}", hint=hint) from error
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)  # the holder before us ended, and took the file with it


def _sweep(output: Path) -> None:
    """Removes the temporary files (see `atomic_write`) of runs that were killed as they wrote them."""
    for written in (output, checkpoint_path(output), curves_path(output)):
        file = Path(os.path.realpath(written))
        for begun in file.parent.glob(f".{glob.escape(file.name)}.????????.tmp"):
            with suppress(OSError):
                begun.unlink()
