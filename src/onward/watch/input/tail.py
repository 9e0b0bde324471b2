"""Reads a file that grows, is truncated, or is renamed and created again, as `tail -F` does, by polling.

Another process can continue from a `Position`, whatever happened to the file: it may be unchanged, renamed by
a rotation, copied and then truncated, or compressed. The rest of that file is read first, then the files that
were begun and rotated since, then the file that has the name now.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from onward.errors import CorpusError
from onward.watch.input.format import COMPRESSED
from onward.watch.input.log_folders import LogFolders
from onward.watch.input.tailed_file import GrowingFile, Position

QUIET_SECONDS = 1.0
"""Seconds without a write after which a renamed file is finished: its writer may notice the rotation late."""


class Follower:
    """Reads the lines of a file as they are completed. It is a `LineSource` (see `watch.stream.runner`).

    Args:
        path: the file; it need not exist yet.
        position: where to continue; None: at the start.
        notify: called with messages for the user, such as that the file was rotated or that lines are lost.
        grows: whether the file may still grow.
        folders: the folders whose files are read; by default those of `path` now.

    Attributes:
        path: as given.
        ended: whether the lines end when `read` returns []; otherwise more may come.
    """

    is_at_end = True

    def __init__(
        self,
        path: Path,
        position: Position | None = None,
        notify: Callable[[str], None] = lambda _: None,
        *,
        grows: bool = True,
        folders: LogFolders | None = None,
    ) -> None:
        self.path = path
        self._folders = folders or LogFolders(path, notify=notify)
        self.ended = not grows
        self._notify = notify
        self._file: GrowingFile | None = None
        self._closed_at = position or Position(0, 0, 0, "", time.time())  # used while no file is open
        self._waiting: list[_Rotated] = []  # rotated files to read next, as of the last look
        self._truncated = 0  # lines of the files that were closed
        if position is not None:
            self._resume(position)
        else:
            with suppress(OSError, CorpusError):  # `read` raises it again
                self._open_next()
        if grows and self._file is None and not path.exists():
            notify(f"waiting for {path}, which does not exist yet")

    @property
    def position(self) -> Position:
        """The position after the last line; before the file exists only its time matters."""
        return self._file.position if self._file else self._closed_at

    @property
    def truncated(self) -> int:
        """Number of lines so far that were cut to `LONGEST_LINE` bytes."""
        return self._truncated + (self._file.truncated if self._file else 0)

    def read(self) -> list[bytes]:
        """Returns the next lines without their line ends, of about 256 KiB; [] if there are none yet.

        Raises:
            CorpusError: the file cannot be read.
        """
        try:
            lines: list[bytes] = []
            while not lines and (self._file or self._open_next()):
                assert self._file
                if self._file.was_truncated():
                    self._restart(self._file.position)
                lines = self._file.lines()
                if not lines:
                    if not self._is_finished(self._file):
                        break
                    lines = self.finish()
                    self.close()
            return lines
        except (OSError, EOFError) as error:
            hint = "check that the file may be read"
            raise CorpusError(f"cannot read {self.path}: {_reason(error)}", hint=hint) from error

    def finish(self) -> list[bytes]:
        """Returns the last line if it has no line end, else []. The file must not grow any more."""
        line = self._file.last_line() if self._file else b""
        return [line] if line else []

    def close(self) -> None:
        """Closes the file; a later `read` opens the next one."""
        if self._file:
            self._closed_at, self._truncated = self._file.position, self.truncated
            self._file.close()
            self._file = None

    def _open_next(self) -> bool:
        """Opens the file that was begun after the last one, and returns whether there is one.

        Names are looked up each time, because a rotation may have changed them.
        """
        with suppress(FileNotFoundError):
            while self._file is None:
                self._look(self._closed_at)
                if not self._waiting:
                    self._file = self._open(self.path)
                elif (file := self._open(self._waiting[0].path)).inode == self._waiting[0].inode:
                    self._file = file
                    del self._waiting[0]
                else:
                    file.close()
        return self._file is not None

    def _open(self, path: Path, offset: int = 0) -> GrowingFile:
        return GrowingFile(path, offset, self._folders.open)

    def _look(self, finished: GrowingFile | Position) -> None:
        """Looks for files that were begun and rotated after `finished`, and reports lost ones."""
        found = _begun_after(self.path, finished, self._folders)
        for known in self._waiting:
            if not any(known.is_same(other) for other in found):
                self._notify(f"{known.path.name} was removed before it was read: its lines are lost")
        self._waiting = found

    def _resume(self, position: Position) -> None:
        """Opens the file of a position under its present name, and finds the files begun after it."""
        found = _find_file(self.path, position, self._folders)
        if found is None:
            if position.offset:
                self._notify(
                    f"the last line that was read is in neither {self.path} nor a rotated file beside it: "
                    "later lines may be lost; reading the newer files"
                )
            return
        self._file = self._open(found, position.offset)
        if found != self.path:
            self._look(self._file)
            self._notify(f"{self.path.name} was rotated: reading the rest of {found.name} first")

    def _restart(self, position: Position) -> None:
        """Continues in a copy of a file that was truncated, if there is one, else at its start."""
        self.close()
        if _find_file(self.path, position, self._folders) is not None:
            self._resume(position)
        else:
            self._file = self._open(self.path)
            self._notify(f"{self.path.name} was truncated: reading it from its start")

    def _is_finished(self, file: GrowingFile) -> bool:
        """Whether a file was rotated, is no longer written to, and another one follows it."""
        if file.is_at(self.path) or (not self.ended and 0 <= time.time() - file.modified < QUIET_SECONDS):
            return False
        return self._folders.has(self.path) or bool(_begun_after(self.path, file, self._folders))


class _Rotated(NamedTuple):
    """A rotated file as of one look."""

    modified: float
    path: Path
    inode: int

    def is_same(self, other: "_Rotated") -> bool:
        """Whether both are one file: compressing keeps the time, renaming keeps the inode."""
        return self.inode == other.inode or self.modified == other.modified


def _find_file(path: Path, position: Position, folders: LogFolders) -> Path | None:
    """Returns the file that contains a position: preferably the one with its inode, or else its name."""

    def rank(candidate: Path) -> tuple[bool, bool, str]:
        with suppress(OSError):
            same = candidate.stat().st_ino == position.inode
            return not same, candidate != path, candidate.name
        return True, candidate != path, candidate.name

    candidates = sorted(_siblings(path, folders), key=rank)
    return next((found for found in candidates if position.is_in(found, folders.open)), None)


def _begun_after(path: Path, file: GrowingFile | Position, folders: LogFolders) -> list[_Rotated]:
    """Returns the rotated files that were last written after a file, in order of time; without `path` itself.

    Looks until two results agree, so that no result is from the middle of a rotation.
    """
    found = _look_once(path, file, folders)
    while found != (again := _look_once(path, file, folders)):
        found = again
    return found


def _look_once(path: Path, file: GrowingFile | Position, folders: LogFolders) -> list[_Rotated]:
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    compressed = "|".join(map(re.escape, COMPRESSED))
    rotated = re.compile(rf"({stem}{suffix}[-._]?[-._T\d]+|{stem}[-._]?[-._T\d]+{suffix})({compressed})?")
    names = {sibling.name: sibling for sibling in _siblings(path, folders)}
    siblings = {name: sibling for name, sibling in names.items() if rotated.fullmatch(name)}
    found: list[_Rotated] = []
    for name, sibling in siblings.items():
        if name.endswith(COMPRESSED) and sibling.stem in siblings:
            continue  # it is being compressed
        with suppress(OSError):
            status = sibling.stat()
            other = (status.st_dev, status.st_ino) != (file.device, file.inode)
            newer = other and sibling != path and status.st_mtime > file.modified
            if newer and not _is_copy(sibling, file, folders):
                found.append(_Rotated(status.st_mtime, sibling, status.st_ino))
    return sorted(found)


def _is_copy(path: Path, file: GrowingFile | Position, folders: LogFolders) -> bool:
    """Whether a compressed file is a copy of a file; Python's gzip and log4j give it a new time."""
    position = file.position if isinstance(file, GrowingFile) else file
    return path.name.endswith(COMPRESSED) and position.offset > 0 and position.is_in(path, folders.open)


def _siblings(path: Path, folders: LogFolders) -> Iterator[Path]:
    """Yields the files of the folder whose names start with the stem of this one's, including itself."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for found in path.parent.iterdir():
            is_named = found.name.startswith(path.stem)
            if is_named and os.path.isfile(found) and folders.has(found):  # noqa: PTH113 - it never raises
                yield found


def _reason(error: OSError | EOFError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
