"""The lines of a file that grows, is cut short, or is renamed and begun anew: `tail -F`, by looking again.

Where the reading stands is a value, `Position`, and it goes on there in whatever the file has become since:
the same file, one renamed by a rotation, a copy that was made before the file was cut short, or any of them
compressed. What is left of it, and files that were begun and rotated since, are read before the file that has
the name now.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from onward.errors import CorpusError
from onward.watch.input.tailed_file import GrowingFile, Position

LINGER = 1.0
"""Seconds that a renamed file must be still before the new one is read: its writer may not know yet."""


class Follower:
    """Reads the lines of a file as they are completed.

    Args:
        path: of the file; it need not exist yet.
        position: where to go on; None begins at the first line of what is there.
        tell: is called with what a person should know: that the file was rotated, or that lines are lost.
        grows: whether lines may still come when all have been read.

    Attributes:
        path: as given.
        ended: whether no line will come when `read` gives none.
    """

    def __init__(
        self,
        path: Path,
        position: Position | None = None,
        tell: Callable[[str], None] = lambda _: None,
        *,
        grows: bool = True,
    ) -> None:
        self.path = path
        self.ended = not grows
        self._tell = tell
        self._file: GrowingFile | None = None
        self._position = position or Position(
            0, 0, 0, "", time.time()
        )  # where it stood when no file was open
        self._waiting: list[_Rotated] = []  # as of the last look, to tell of those that are gone
        self._cut = 0  # lines, of files that were closed
        if position is not None:
            self._go_on(position)
        else:
            with suppress(OSError):  # `read` says what is wrong
                self._open_next()
        if grows and self._file is None and not path.exists():
            tell(f"there is no file {path} yet: waiting for it")

    @property
    def position(self) -> Position:
        """The place after the last line that was read; before a file was there, the time is all of it."""
        return self._file.position if self._file else self._position

    @property
    def cut(self) -> int:
        """Lines so far of which only the beginning was kept, because they were too long."""
        return self._cut + (self._file.cut if self._file else 0)

    def read(self) -> list[bytes]:
        """The next lines without their ends, some thousands at most; none if there is no new one now.

        Raises:
            CorpusError: the file cannot be read.
        """
        try:
            lines: list[bytes] = []
            while not lines and (self._file or self._open_next()):
                assert self._file
                if self._file.was_cut_short():
                    self._begin_again(self._file.position)
                lines = self._file.lines()
                if not lines:
                    if not self._moved_on(self._file):
                        break
                    lines = self.finish()
                    self.close()
            return lines
        except (OSError, EOFError) as error:
            hint = "check that it may be read"
            raise CorpusError(f"cannot read {self.path}: {_reason(error)}", hint=hint) from error

    def finish(self) -> list[bytes]:
        """The last line, if it has no end: of a file that will not grow."""
        line = self._file.rest() if self._file else b""
        return [line] if line else []

    def close(self) -> None:
        """Closes the file; `read` would go on at its start."""
        if self._file:
            self._position, self._cut = self._file.position, self.cut
            self._file.close()
            self._file = None

    def _open_next(self) -> bool:
        """Opens what was begun after the file that was read last, if it is there.

        A name may belong to another file by now, so it is looked up anew each time.
        """
        with suppress(FileNotFoundError):
            while self._file is None:
                self._look(self._position)
                if not self._waiting:
                    self._file = GrowingFile(self.path)
                elif (file := GrowingFile(self._waiting[0].path)).inode == self._waiting[0].inode:
                    self._file = file
                    del self._waiting[0]
                else:
                    file.close()
        return self._file is not None

    def _look(self, finished: GrowingFile | Position) -> None:
        """Looks for what was begun and rotated after a file, and tells of what is gone since."""
        found = _begun_after(self.path, finished)
        for known in self._waiting:
            if not any(known.is_same(other) for other in found):
                self._tell(f"{known.path.name} was removed before it was read: its lines are lost")
        self._waiting = found

    def _go_on(self, position: Position) -> None:
        """Opens what the file of a position has become, and notes the files that were begun after it."""
        found = _found_again(self.path, position)
        if found is None:
            if position.offset:
                self._tell(
                    f"what was read before is not in {self.path} or beside it any more, so lines that came "
                    "since may be lost; reading what was begun since from its start"
                )
            return
        self._file = GrowingFile(found, position.offset)
        if found != self.path:
            self._look(self._file)
            self._tell(f"{self.path.name} was rotated: reading the rest of {found.name} first")

    def _begin_again(self, position: Position) -> None:
        """Goes on in the copy of a file that was cut short, if there is one, or at its start."""
        self.close()
        copy = _found_again(self.path, position)
        if copy is not None:
            self._go_on(position)
        else:
            self._file = GrowingFile(self.path)
            self._tell(f"{self.path.name} was cut short: reading it from its start")

    def _moved_on(self, file: GrowingFile) -> bool:
        """Whether another file is to be read now, and the one that was read is still."""
        if file.is_at(self.path) or (not self.ended and 0 <= time.time() - file.modified < LINGER):
            return False
        return self.path.exists() or bool(_begun_after(self.path, file))


class _Rotated(NamedTuple):
    """A file that was rotated, as it was at one look."""

    modified: float
    path: Path
    inode: int

    def is_same(self, other: "_Rotated") -> bool:
        """Whether it is another, whatever its name is now: gzip keeps the time, renaming the inode."""
        return self.inode == other.inode or self.modified == other.modified


def _found_again(path: Path, position: Position) -> Path | None:
    """The file that a position is in: if possible the one of its inode, or of its name, or else a copy."""

    def rank(candidate: Path) -> tuple[bool, bool, str]:
        with suppress(OSError):
            same = candidate.stat().st_ino == position.inode
            return not same, candidate != path, candidate.name
        return True, candidate != path, candidate.name

    return next((found for found in sorted(_siblings(path), key=rank) if position.is_in(found)), None)


def _begun_after(path: Path, file: GrowingFile | Position) -> list[_Rotated]:
    """Rotated files that were last written to after one, in that order; `path` is none of them.

    Two looks that agree were not taken in the midst of a rotation.
    """
    found = _seen_after(path, file)
    while found != (again := _seen_after(path, file)):
        found = again
    return found


def _seen_after(path: Path, file: GrowingFile | Position) -> list[_Rotated]:
    """What one look finds."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    rotated = re.compile(rf"({stem}{suffix}[-._]?[-._T\d]+|{stem}[-._]?[-._T\d]+{suffix})(\.gz)?")
    siblings = {sibling.name: sibling for sibling in _siblings(path) if rotated.fullmatch(sibling.name)}
    found: list[_Rotated] = []
    for name, sibling in siblings.items():
        if name.endswith(".gz") and name.removesuffix(".gz") in siblings:
            continue  # gzip is at work on that
        with suppress(OSError):
            status = sibling.stat()
            other = (status.st_dev, status.st_ino) != (file.device, file.inode)
            if other and sibling != path and status.st_mtime > file.modified:
                found.append(_Rotated(status.st_mtime, sibling, status.st_ino))
    return sorted(found)


def _siblings(path: Path) -> Iterator[Path]:
    """Files of the same folder whose names begin as this one's, itself included."""
    with suppress(FileNotFoundError):
        yield from (
            found for found in path.parent.iterdir() if found.name.startswith(path.stem) and found.is_file()
        )


def _reason(error: OSError | EOFError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
