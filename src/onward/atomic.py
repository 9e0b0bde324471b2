"""Files that are there whole or not at all."""

import os
import secrets
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
    target = Path(os.path.realpath(path))  # a link stays one: what it leads to is written
    try:
        mode = _mode(target)
        handle, temporary = _begun(target, 0o666 if mode is None else mode)
    except OSError as error:
        raise _refused(target, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            if mode is not None:
                temporary.chmod(mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
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


def _mode(target: Path) -> int | None:
    """The permissions of the target, None where there is none."""
    with suppress(FileNotFoundError):
        return target.stat().st_mode & 0o777
    return None


def _begun(target: Path, mode: int) -> tuple[int, Path]:
    """A new file beside the target: its descriptor and its path.

    The system takes the umask off its permissions: to ask for that, one has to set it, for all threads.
    """
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        with suppress(FileExistsError):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), path


def _flush(folder: Path) -> None:
    """Makes the names in a folder survive a power cut, where the file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
