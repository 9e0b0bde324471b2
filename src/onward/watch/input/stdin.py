"""Reads lines from standard input as they arrive, in reads that a signal can interrupt."""

import io
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from onward.data.corpus import check_standard_input
from onward.data.encodings import text_of
from onward.watch.input.lines import LONGEST_LINE

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 1 << 16
_READ_SECONDS = 0.2
"""Maximum seconds that one read waits for input."""


class Pipe:
    """Reads the lines of a pipe. It has the interface of `Follower`, but no position to resume from.

    Args:
        file: the pipe, which may be compressed, or in UTF-16; standard input by default.

    Attributes:
        ended: whether the writer has closed the pipe.
        truncated: number of lines so far that were cut to `LONGEST_LINE` bytes.

    Raises:
        CorpusError: standard input is closed. `read` raises it for damage.
    """

    position = None
    is_at_end = True

    def __init__(self, file: io.BufferedIOBase | BinaryIO | None = None) -> None:
        if file is None:
            check_standard_input()
        self._arriving = _ArrivingBytes(file or sys.stdin.buffer)
        self._file = io.BufferedReader(self._arriving)
        self._content: io.BufferedReader | None = None  # None: no byte has arrived
        self.ended = False
        self.truncated = 0
        self._rest = bytearray()  # of a line whose end has not arrived

    def read(self) -> list[bytes]:
        """Returns the next lines without their line ends; [] if no line is complete yet, or at the end."""
        piece = self._read_piece()
        *lines, rest = piece.split(b"\n")
        if not lines:
            self._rest += piece[: LONGEST_LINE + 1 - len(self._rest)]
            return []
        lines[0] = bytes(self._rest) + lines[0]
        self._rest = bytearray(rest)
        return [self._truncate(line) for line in lines]

    def finish(self) -> list[bytes]:
        """Returns the last line if it has no line end, else []."""
        line, self._rest = bytes(self._rest), bytearray()
        return [self._truncate(line)] if line else []

    def close(self) -> None:
        """Does nothing: standard input stays open."""

    def _read_piece(self) -> bytes:
        """Returns the next content, b"" if none has arrived, and notes the end of the pipe."""
        piece = b""
        if self._content is None and self._file.peek(1):
            self._content = text_of(self._file, Path("standard input"), grows=True)
        if self._content is not None:
            piece = self._content.read1(_PIECE)
        self.ended = self._arriving.ended and not piece
        return piece

    def _truncate(self, line: bytes) -> bytes:
        self.truncated += len(line) > LONGEST_LINE
        return line[:LONGEST_LINE]


class _ArrivingBytes(io.RawIOBase):
    """The bytes of a pipe. A read waits for at most `_READ_SECONDS` seconds.

    Attributes:
        ended: whether the writer has closed the pipe.
    """

    def __init__(self, file: io.BufferedIOBase | BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        target = memoryview(buffer).cast("B")
        try:
            handle = self._file.fileno()
        except OSError:  # bytes in memory
            piece = self._file.read(len(target))
        else:
            if not select.select([handle], [], [], _READ_SECONDS)[0]:
                return None
            piece = os.read(handle, len(target))
        target[: len(piece)] = piece
        self.ended = not piece
        return len(piece)
