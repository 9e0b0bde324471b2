"""One file that grows: its complete lines, and the position after the last of them."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from onward.data.encodings import text_of
from onward.errors import CorpusError
from onward.stored import Count, Number, StoredModel
from onward.watch.input.lines import LONGEST_LINE

PIECE_BYTES = 1 << 18
"""Number of bytes to read at once."""

FINGERPRINT_BYTES = 1024
"""Maximum number of bytes that a fingerprint covers at the start, and as many before the position."""

OpenFile = Callable[[Path], BufferedReader]
"""Opens a file at its first byte; see `LogFolders.open`."""


def open_plainly(path: Path) -> BufferedReader:
    """Opens a file of any kind, anywhere."""
    return path.open("rb")


@dataclass(frozen=True)
class Position:
    """A place between two lines of a file. Its fingerprint finds the file again under any name.

    Attributes:
        device: device of the file.
        inode: inode of the file.
        offset: bytes before the place.
        fingerprint: SHA-256 of up to 1,024 bytes from the start and as many before the place.
        modified: modification time of the file when it was read, in seconds since 1970.
    """

    device: int
    inode: int
    offset: int
    fingerprint: str
    modified: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Position":
        """Returns the position that `to_json` returned.

        Raises:
            ValueError: the data is not a position.
        """
        return cls(**_StoredPosition.model_validate(data).model_dump())

    def is_in(self, path: Path, open_file: OpenFile = open_plainly) -> bool:
        """Whether the file has the bytes before this position; the file may be a compressed copy.

        Position 0 has no bytes before it, so it belongs only to the file itself.
        """
        try:
            with _Content(path, open_file) as file:
                if not self.offset:
                    status = file.status()
                    return (status.st_dev, status.st_ino) == (self.device, self.inode)
                return _fingerprint(*file.skip_to(self.offset)) == self.fingerprint
        except (OSError, EOFError, CorpusError):
            return False


class _StoredPosition(StoredModel):
    device: Annotated[int, Field(ge=0)]
    inode: Annotated[int, Field(ge=0)]
    offset: Count
    fingerprint: str
    modified: Number


class GrowingFile:
    """Reads the lines of an open file. Bytes after the last line end are held until their line is complete.

    Args:
        path: the file, which may be compressed, or in UTF-16.
        offset: bytes to skip; they end with a line.
        open_file: opens the file.

    Attributes:
        device: device of the file.
        inode: inode of the file.
        truncated: number of lines so far that were cut to `LONGEST_LINE` bytes.

    Raises:
        OSError: the file cannot be opened.
        CorpusError: the file is a damaged archive. `lines` raises it too.
    """

    def __init__(self, path: Path, offset: int = 0, open_file: OpenFile = open_plainly) -> None:
        self._file = _Content(path, open_file)
        status = self._file.status()
        self.device, self.inode = status.st_dev, status.st_ino
        self._modified = status.st_mtime  # taken before each read, so that a later write has a later time
        self.truncated = 0
        self._head, self._tail = self._file.skip_to(offset)  # before the position
        self._offset = self._read = offset  # the position, and the end of the bytes read
        self._last = self._tail  # before the end of the bytes read
        self._rest = bytearray()  # of a line whose end was not read

    @property
    def position(self) -> Position:
        """The position after the last line that was returned."""
        fingerprint = _fingerprint(self._head[: self._offset], self._tail)
        return Position(self.device, self.inode, self._offset, fingerprint, self._modified)

    @property
    def modified(self) -> float:
        """Modification time of the file now, in seconds since 1970."""
        return self._file.status().st_mtime

    def was_truncated(self) -> bool:
        """Whether the first or the last bytes that were read have changed in the file since."""
        if not self._file.is_plain:
            return False
        handle, last = self._file.fileno(), self._read - len(self._last)
        return (
            os.pread(handle, len(self._last), last) != self._last
            or os.pread(handle, len(self._head), 0) != self._head
        )

    def is_at(self, path: Path) -> bool:
        """Whether the path leads to this file."""
        with suppress(OSError):
            status = path.stat()
            return (status.st_dev, status.st_ino) == (self.device, self.inode)
        return False

    def lines(self) -> list[bytes]:
        """Returns the next complete lines without their line ends; [] if none is complete yet.

        Raises:
            OSError: the file cannot be read.
        """
        self._modified = self.modified
        while piece := self._file.read(PIECE_BYTES):
            before = self._last
            self._read += len(piece)
            if len(self._head) < FINGERPRINT_BYTES:
                self._head = (self._head + piece)[:FINGERPRINT_BYTES]
            self._last = (before + piece)[-FINGERPRINT_BYTES:]
            end = piece.rfind(b"\n") + 1
            if end:
                first, *others, rest = piece.split(b"\n")
                lines = [self._complete(first), *map(self._truncate, others)]
                self._offset = self._read - len(rest)
                self._tail = (before + piece[:end])[-FINGERPRINT_BYTES:]
                self._rest += rest
                return lines
            self._rest += piece[: LONGEST_LINE + 1 - len(self._rest)]  # one byte more shows that it is cut
        return []

    def last_line(self) -> bytes:
        """Returns the last line if it has no line end, else b"". The file must not grow any more."""
        self._offset, self._tail = self._read, self._last
        return self._complete(b"")

    def close(self) -> None:
        self._file.close()

    def _complete(self, piece: bytes) -> bytes:
        line = self._truncate(bytes(self._rest) + piece)
        self._rest.clear()
        return line

    def _truncate(self, line: bytes) -> bytes:
        if len(line) <= LONGEST_LINE:
            return line
        self.truncated += 1
        return line[:LONGEST_LINE]


class _Content:
    """The content of an open file, in UTF-8. A plain file has no buffer, which would hide that it grew."""

    def __init__(self, path: Path, open_file: OpenFile) -> None:
        file = open_file(path)
        self._handle = file.fileno()
        content = text_of(file, path, grows=True)
        self.is_plain = content is file
        self._content: BufferedReader | FileIO = content
        if self.is_plain:
            self._content = _unbuffered(file)

    def __enter__(self) -> "_Content":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._handle

    def status(self) -> os.stat_result:
        return os.fstat(self._handle)

    def read(self, size: int) -> bytes:
        return self._content.read(size) or b""

    def skip_to(self, offset: int) -> tuple[bytes, bytes]:
        """Reads up to an offset, from the start of the file.

        Returns:
            The first bytes and the last bytes before the offset, up to 1,024 each.

        Raises:
            EOFError: the file ends before the offset.
        """
        if self.is_plain and offset > 2 * FINGERPRINT_BYTES:
            head = self._read_exactly(FINGERPRINT_BYTES)
            self._content.seek(offset - FINGERPRINT_BYTES)
            return head, self._read_exactly(FINGERPRINT_BYTES)
        head = tail = self._read_exactly(min(FINGERPRINT_BYTES, offset))
        left = offset - len(head)
        while left:
            piece = self._read_exactly(min(PIECE_BYTES, left))
            tail = (tail + piece)[-FINGERPRINT_BYTES:]
            left -= len(piece)
        return head, tail

    def _read_exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self.read(size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found

    def close(self) -> None:
        self._content.close()


def _unbuffered(file: BufferedReader) -> FileIO:
    raw = file.detach()
    assert isinstance(raw, FileIO)
    raw.seek(0)
    return raw


def _fingerprint(head: bytes, tail: bytes) -> str:
    return hashlib.sha256(head + tail).hexdigest()
