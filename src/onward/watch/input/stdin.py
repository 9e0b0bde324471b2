"""Reads lines from standard input as they arrive, in reads that a signal can interrupt."""

import os
import select
import sys
from typing import BinaryIO

from onward.data.corpus import check_standard_input
from onward.watch.input.lines import LONGEST_LINE

_PIECE = 1 << 16
_READ_SECONDS = 0.2
"""Maximum seconds that one read waits for input."""


class Pipe:
    """Reads the lines of a pipe. It has the interface of `Follower`, but no position to resume from.

    Args:
        file: the pipe; standard input by default.

    Attributes:
        ended: whether the writer has closed the pipe.
        truncated: number of lines so far that were cut to `LONGEST_LINE` bytes.

    Raises:
        CorpusError: standard input is closed.
    """

    position = None

    def __init__(self, file: BinaryIO | None = None) -> None:
        if file is None:
            check_standard_input()
        self._file = file or sys.stdin.buffer
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
        """Returns the bytes that arrive within `_READ_SECONDS` seconds, and notes the end of the pipe."""
        try:
            handle = self._file.fileno()
        except OSError:  # bytes in memory
            piece = self._file.read(_PIECE)
        else:
            if not select.select([handle], [], [], _READ_SECONDS)[0]:
                return b""
            piece = os.read(handle, _PIECE)
        self.ended = not piece
        return piece

    def _truncate(self, line: bytes) -> bytes:
        self.truncated += len(line) > LONGEST_LINE
        return line[:LONGEST_LINE]
