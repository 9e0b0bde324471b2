"""One file that grows: its complete lines, and the place after the last of them."""

import gzip
import hashlib
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from onward.watch.input.lines import GZIP, LONGEST_LINE

_PIECE = 1 << 18
_PRINTED = 1024


@dataclass(frozen=True)
class Position:
    """A place between two lines of a file, which is known again by its content, whatever its name is by then.

    Attributes:
        device: of the file, and
        inode: its number there.
        offset: bytes before the place.
        fingerprint: SHA-256 of up to 1,024 bytes from the start and as many before the place.
        modified: when the file was last written to, as it was read, in seconds of the epoch.
    """

    device: int
    inode: int
    offset: int
    fingerprint: str
    modified: float

    def to_json(self) -> dict[str, Any]:
        """The position as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Position":
        """The inverse of `to_json`."""
        return cls(data["device"], data["inode"], data["offset"], data["fingerprint"], data["modified"])

    def is_in(self, path: Path) -> bool:
        """Whether the bytes that the position was taken after stand in a file, which may be compressed.

        At the start of a file there are none; there only the file itself is the one.
        """
        try:
            with _opened(path) as file:
                if not self.offset:
                    status = os.fstat(file.fileno())
                    return (status.st_dev, status.st_ino) == (self.device, self.inode)
                return _fingerprint(*_around(file, self.offset)) == self.fingerprint
        except (OSError, EOFError):
            return False


class GrowingFile:
    """The lines of an open file. Bytes after the last end of a line are held until their line is complete.

    Args:
        path: of the file, which gzip may have compressed.
        offset: bytes to begin after, the end of a line.

    Attributes:
        device: of the file, and
        inode: its number there.
        cut: lines so far of which only the first `LONGEST_LINE` bytes were kept.

    Raises:
        OSError: as `open`.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._file = _opened(path)
        status = os.fstat(self._file.fileno())
        self.device, self.inode = status.st_dev, status.st_ino
        self._modified = status.st_mtime  # before it was read last: what is written later is later
        self.cut = 0
        self._grows = isinstance(self._file, FileIO)
        self._head, self._tail = _around(self._file, offset)
        self._offset = self._seen = offset
        self._last = self._tail  # of all bytes that were read
        self._held = bytearray()

    @property
    def position(self) -> Position:
        """The place after the last line that was given."""
        head = self._head[: self._offset]
        printed = _fingerprint(head, self._tail)
        return Position(self.device, self.inode, self._offset, printed, self._modified)

    @property
    def modified(self) -> float:
        """When it was last written to, in seconds of the epoch."""
        return os.fstat(self._file.fileno()).st_mtime

    def was_cut_short(self) -> bool:
        """Whether other bytes stand where the first and the last ones were that were read of the file."""
        if not self._grows:
            return False
        handle, last = self._file.fileno(), self._seen - len(self._last)
        return (
            os.pread(handle, len(self._last), last) != self._last
            or os.pread(handle, len(self._head), 0) != self._head
        )

    def is_at(self, path: Path) -> bool:
        """Whether it has a name, to which nothing may belong."""
        with suppress(FileNotFoundError):
            status = path.stat()
            return (status.st_dev, status.st_ino) == (self.device, self.inode)
        return False

    def lines(self) -> list[bytes]:
        """The next complete lines without their ends; none if there is none yet. Raises as `read`."""
        self._modified = self.modified
        while piece := self._file.read(_PIECE):
            before = self._last
            self._seen += len(piece)
            self._head = (self._head + piece)[:_PRINTED] if len(self._head) < _PRINTED else self._head
            self._last = (before + piece)[-_PRINTED:]
            end = piece.rfind(b"\n") + 1
            if end:
                first, *others, rest = piece.split(b"\n")
                lines = [self._completed(first), *map(self._bounded, others)]
                self._offset = self._seen - len(rest)
                self._tail = (before + piece[:end])[-_PRINTED:]
                self._held += rest
                return lines
            self._held += piece[: LONGEST_LINE + 1 - len(self._held)]  # one more shows that it was cut
        return []

    def rest(self) -> bytes:
        """What is held of a line that has no end, as the last line."""
        self._offset, self._tail = self._seen, self._last
        return self._completed(b"")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _completed(self, piece: bytes) -> bytes:
        line = self._bounded(bytes(self._held) + piece)
        self._held.clear()
        return line

    def _bounded(self, line: bytes) -> bytes:
        if len(line) <= LONGEST_LINE:
            return line
        self.cut += 1
        return line[:LONGEST_LINE]


def _opened(path: Path) -> FileIO | gzip.GzipFile:
    """The file for reading, without a buffer, which would hide that it grew; through gzip if it is packed."""
    file = FileIO(path)
    if file.read(len(GZIP)) != GZIP:
        file.seek(0)
        return file
    file.close()
    return gzip.open(path)


def _around(file: FileIO | gzip.GzipFile, offset: int) -> tuple[bytes, bytes]:
    """The first bytes of a file and those before a place, where it is left.

    Raises:
        EOFError: the file ends before the place.
    """
    file.seek(0)
    head = file.read(min(_PRINTED, offset))
    file.seek(max(0, offset - _PRINTED))
    tail = file.read(min(_PRINTED, offset))
    if len(tail) < min(_PRINTED, offset):
        raise EOFError
    return head, tail


def _fingerprint(head: bytes, tail: bytes) -> str:
    return hashlib.sha256(head + tail).hexdigest()
