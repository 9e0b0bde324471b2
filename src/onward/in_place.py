"""Opens files that are changed in place: the alarms and the state of a watch, sessions, the log of a run.

In a folder that others may write to, a name may be a link that somebody else made, to a file that only this
user may change. So nothing is written through a link.
"""

import errno
import os
import stat
from pathlib import Path

from onward.errors import WriteError
from onward.file_kind import kind_of

PRIVATE = 0o600
"""Permissions of a file that only its owner may read and write."""


def open_in_place(path: Path, flags: int, mode: int = PRIVATE) -> int:
    """Opens a file to change it, and creates it if it is missing. Returns its descriptor.

    Args:
        path: the file.
        flags: as for `os.open`, such as `os.O_WRONLY | os.O_APPEND`.
        mode: permissions of a new file, less the umask.

    Raises:
        OSError: the file cannot be opened.
        WriteError: it is a link, a pipe or a device; or another user's file in a folder of everyone.
    """
    try:
        handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise _refused(path, "a link", "name the file that it leads to") from error
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, or a socket
            raise _refused(path, kind_of(path.lstat().st_mode), "name a file") from error
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise _refused(path, kind_of(status.st_mode), "name a file")
    if status.st_uid != os.geteuid() and path.parent.stat().st_mode & stat.S_IWOTH:
        os.close(handle)
        raise WriteError(
            f"{path} belongs to another user, who could read and change what is written to it",
            hint="name a file in a folder that only you may write to",
        )
    return handle


def create_private(path: Path) -> None:
    """Creates an empty file that only its owner may read and write, for SQLite, which cannot refuse links.

    An existing file is unchanged.

    Raises:
        OSError, WriteError: see `open_in_place`.
    """
    os.close(open_in_place(path, os.O_RDWR))


def _refused(path: Path, found: str, remedy: str) -> WriteError:
    return WriteError(f"expected a file to write at {path}, got {found}", hint=remedy)
