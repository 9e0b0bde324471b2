"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from onward.errors import WriteError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends, and leaves no trace if it fails.

    What is written goes to a temporary file beside `path`, is flushed to the disk and renamed, so a reader,
    a crash or a full disk never sees half of it; the folder is flushed too, so that the name survives a
    power cut. The permissions of what stood at `path` are kept.

    Raises:
        WriteError: the operating system refused; what stood at `path` is untouched.
    """
    target = Path(path).resolve()  # a link stays one: what it leads to is written
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    except OSError as error:
        raise _refused(target, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(target))
        temporary.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _refused(target: Path, error: OSError) -> WriteError:
    """The error of a target that could not be written."""
    return WriteError(
        f"cannot write {target}: {error.strerror or error}",
        hint="check that the folder exists, may be written to, and that its disk has room",
    )


def _mode(target: Path) -> int:
    """The permissions of the target, or those that a new file gets."""
    with suppress(FileNotFoundError):
        return target.stat().st_mode & 0o777
    return 0o666 & ~_umask()


def _flush(folder: Path) -> None:
    """Makes the names in a folder survive a power cut, where the file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    """The permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
