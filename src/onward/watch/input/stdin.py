"""Lines of standard input as they come, without a read that a signal could not end."""

import os
import select
import sys
from typing import BinaryIO

from onward.watch.input.lines import LONGEST_LINE

_PIECE = 1 << 16
_PATIENCE = 0.2
"""Seconds that are waited for a line before it is said that there is none yet."""


class Pipe:
    """Reads lines from a pipe, with the interface of `Follower`; there is no position to go on from.

    Args:
        file: to be read; by default standard input.

    Attributes:
        ended: whether the other side has closed it.
        cut: lines so far of which only the beginning was kept, because they were too long.
    """

    position = None

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file or sys.stdin.buffer
        self.ended = False
        self.cut = 0
        self._held = bytearray()

    def read(self) -> list[bytes]:
        """The next lines without their ends; none if there is none yet, or no more."""
        piece = self._piece()
        *lines, rest = piece.split(b"\n")
        if not lines:
            self._held += piece[: LONGEST_LINE + 1 - len(self._held)]
            return []
        lines[0] = bytes(self._held) + lines[0]
        self._held = bytearray(rest)
        return [self._bounded(line) for line in lines]

    def finish(self) -> list[bytes]:
        """The last line, if it has no end."""
        line, self._held = bytes(self._held), bytearray()
        return [self._bounded(line)] if line else []

    def close(self) -> None:
        """Nothing is to be closed."""

    def _piece(self) -> bytes:
        """The next bytes, or none if none come in a while; notes whether that is the end."""
        try:
            handle = self._file.fileno()
        except OSError:  # no pipe, but bytes in memory
            piece = self._file.read(_PIECE)
        else:
            if not select.select([handle], [], [], _PATIENCE)[0]:
                return b""
            piece = os.read(handle, _PIECE)
        self.ended = not piece
        return piece

    def _bounded(self, line: bytes) -> bytes:
        self.cut += len(line) > LONGEST_LINE
        return line[:LONGEST_LINE]
