"""Writes files atomically: readers see the old file or the complete new one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from onward.errors import WriteError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a binary file that replaces `path` when the block ends; if the block fails, nothing changes.

    The content goes to a temporary file beside `path`, which is flushed to disk and then renamed. So neither
    a crash nor a full disk leaves half a file. The folder is flushed too, so that the rename survives a power
    cut. An existing file's permissions are kept. If `path` is a symbolic link, its target is replaced.

    Raises:
        WriteError: the file cannot be written; the old file is unchanged.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(target)
        handle, temporary = _create_temporary(target, 0o666 if mode is None else mode)
    except OSError as error:
        raise WriteError.of(target, error) from error
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
        raise WriteError.of(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _mode(target: Path) -> int | None:
    """Returns the permissions of a file, or None if there is no file."""
    with suppress(FileNotFoundError):
        return target.stat().st_mode & 0o777
    return None


def _create_temporary(target: Path, mode: int) -> tuple[int, Path]:
    """Creates a file beside the target and returns its descriptor and path.

    Passing the mode to `os.open` lets the system apply the umask, which cannot be read without setting it
    for all threads.
    """
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        with suppress(FileExistsError):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), path


def _flush(folder: Path) -> None:
    """Flushes a folder's list of files to disk, if the file system supports that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
