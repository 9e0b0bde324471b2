"""Writes files atomically: readers see the old file or the complete new one."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from onward.errors import WriteError
from onward.file_kind import kind_of


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a binary file that replaces `path` when the block ends; if the block fails, nothing changes.

    The content goes to a temporary file beside `path`, which is flushed to disk and then renamed. So neither
    a crash nor a full disk leaves half a file. The folder is flushed too, so that the rename survives a power
    cut. The permissions of an existing file are kept if it belongs to this user.

    A link is replaced itself, and what it leads to is unchanged: in a folder that others may write to, it
    may lead to a file that only this user may change.

    Raises:
        WriteError: the file cannot be written; the old file is unchanged.
    """
    target = Path(path)
    _refuse_special(target)
    try:
        mode = _mode(target)
        handle, temporary = _create_temporary(target, 0o666 if mode is None else mode)
    except OSError as error:
        raise WriteError.of(target, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            if mode is not None:
                os.fchmod(handle, mode)
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


def _refuse_special(target: Path) -> None:
    """Refuses to replace a device or a pipe, such as /dev/null, or a link to one.

    Raises:
        WriteError: the target is one.
    """
    with suppress(OSError):
        mode = target.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise WriteError(
                f"expected a file to write at {target}, got {kind_of(mode)}", hint="name another file"
            )


def _mode(target: Path) -> int | None:
    """Returns the permissions of a file, or None if there is no file of this user."""
    with suppress(FileNotFoundError):
        status = target.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            return status.st_mode & 0o777
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
