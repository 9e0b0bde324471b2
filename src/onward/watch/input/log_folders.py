"""Opens the files of a log, but no link or named pipe that replaces one of them.

A watch may have permission to read files that the writer of the log may not read. If the log is replaced by a
link to such a file, the watch must not pass its lines on. If the log is replaced by a named pipe, the watch
must not wait for ever to open it.
"""

import errno
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

from onward.file_kind import kind_of

_LEADS_NOWHERE = (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG)
"""Errors that a log's writer can cause: by a link that leads nowhere, or a file in the place of a folder."""


class NotFollowedError(FileNotFoundError):
    """A file that is not read, as if it did not exist: it is a pipe, or outside the folder of the log."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOENT, message)

    def __str__(self) -> str:
        return str(self.strerror)


class LogFolders:
    """The folders that the files of a log may be in, and the folders below them.

    They are the folder of the log, and the folder that it leads to if it is a link when the watch begins. A
    link that is made later is followed within these folders only.

    Args:
        log: the log; it need not exist yet.
        linked: the folder that the log led to when the watch began; None: it begins now.
        follow_links: whether all links are followed.
        notify: called with a message if a file is not read; a second time only if it was read in between.

    Attributes:
        linked: the folder that the log led to when the watch began.
    """

    def __init__(
        self,
        log: Path,
        linked: Path | None = None,
        *,
        follow_links: bool = False,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.linked = linked or _real(log).parent
        self._folders = {_real(log.parent), self.linked}
        self._follow_links = follow_links
        self._notify = notify
        self._told: dict[Path, str] = {}

    def resolve(self, path: Path) -> Path:
        """Returns the path of a file without links, if the file may be read.

        Raises:
            NotFollowedError: the file may not be read.
            OSError: there is no such file.
        """
        try:
            _check_kind(path, path.stat().st_mode)
        except OSError as error:
            if error.errno in _LEADS_NOWHERE:
                raise NotFollowedError(f"{path} leads nowhere ({error.strerror}): it is not read") from error
            raise
        target = _real(path)
        if not self._follow_links and not any(map(target.is_relative_to, self._folders)):
            message = f"{path} leads to {target}, outside the folder of the log"
            raise NotFollowedError(f"{message}: it is only read with --follow-links")
        return target

    def has(self, path: Path) -> bool:
        """Returns whether the file exists and may be read."""
        try:
            self.resolve(path)
        except NotFollowedError as error:
            self._tell(path, error)
            return False
        except OSError:
            return False
        self._told.pop(path, None)
        return True

    def open(self, path: Path) -> BufferedReader:
        """Opens a file at its first byte.

        Raises:
            NotFollowedError: the file may not be read.
            OSError: the file cannot be opened.
        """
        try:
            file = _open_without_links(self.resolve(path))
            try:
                _check_kind(path, os.fstat(file.fileno()).st_mode)
            except NotFollowedError:
                file.close()
                raise
        except NotFollowedError as error:
            self._tell(path, error)
            raise
        self._told.pop(path, None)
        return file

    def _tell(self, path: Path, error: NotFollowedError) -> None:
        if self._told.get(path) != str(error):
            self._told[path] = str(error)
            self._notify(str(error))


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotFollowedError(f"{path} is {kind_of(mode)}, not a file: it is not read")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _open_without_links(path: Path) -> BufferedReader:
    """Opens a file by its absolute path, which must contain no link. Opening a named pipe does not block.

    Each folder is opened relative to its parent. So a link that replaces a folder after the path was resolved
    is not followed.

    Raises:
        NotFollowedError: a part is a link.
        OSError: a part cannot be opened.
    """
    folder_flags = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
    folder = os.open(path.anchor, folder_flags)
    try:
        for name in path.parts[1:-1]:
            inner = os.open(name, folder_flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        handle = os.open(path.name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=folder)
        return os.fdopen(handle, "rb")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise NotFollowedError(f"{path} has just become a link: it is not read") from error
        raise
    finally:
        os.close(folder)
