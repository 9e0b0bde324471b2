"""One run at a time writes to an output."""

import fcntl
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onward.errors import BusyError, InputError, WriteError
from onward.training.outputs import checkpoint_path, curves_path


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
