"""A terminal in which a command runs: sends keys, and reads the screen."""

import os
import shlex
import sys
import time
from collections.abc import Callable

import pytest

pexpect = pytest.importorskip("pexpect", reason="pip install pexpect")
pyte = pytest.importorskip("pyte", reason="pip install pyte")

TIMEOUT = 60.0
"""Maximum seconds to wait for a change of the screen."""
COLUMNS, LINES = 80, 24


class Terminal:
    """A shell that runs one command line of onward, then prints its exit code and the terminal settings."""

    def __init__(self, *arguments: object, term: str = "xterm-256color") -> None:
        line = shlex.join([sys.executable, "-m", "onward", *map(str, arguments)])
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TERM": term}
        script = f"{line}; echo ended with $?; stty -a"
        self._child = pexpect.spawn("/bin/sh", ["-c", script], env=environment, dimensions=(LINES, COLUMNS))
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._screen.write_process_input = self._child.send  # programs ask for the cursor position
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        """The text on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def line(self) -> str:
        """The line of the cursor."""
        return self._screen.display[self._screen.cursor.y].rstrip()

    @property
    def ghost(self) -> str:
        """The grey text after the cursor."""
        row = self._screen.buffer[self._screen.cursor.y]
        cells = (row[x] for x in range(self._screen.cursor.x, COLUMNS))
        return "".join(cell.data for cell in cells if cell.fg != "default")

    @property
    def shows_cursor(self) -> bool:
        """Whether the cursor can be seen."""
        return not self._screen.cursor.hidden

    def press(self, keys: str) -> None:
        """Sends keys to the command."""
        self._child.send(keys)

    def wait(self, seen: Callable[["Terminal"], bool]) -> None:
        """Reads the output of the command until the condition is true."""
        end = time.monotonic() + TIMEOUT
        while not seen(self):
            assert time.monotonic() < end, self.text
            try:
                self._stream.feed(self._child.read_nonblocking(1 << 16, timeout=0.2))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                assert seen(self), self.text
                return

    def end(self) -> tuple[int, set[str]]:
        """Waits for the end of the command, and returns its exit code and the terminal settings."""
        self.wait(lambda t: "-a" in t.text or "iexten" in t.text)
        self._child.wait()
        _, _, rest = self.text.partition("ended with ")
        return int(rest.split()[0]), set(rest.replace(";", " ").split())

    def close(self) -> None:
        """Ends the shell and its command."""
        self._child.close(force=True)
