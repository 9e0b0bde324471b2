"""The last place before a terminal: no control character passes that is not onward's own.

The functions in `output` already escape what they print. Everything else is caught here, so that a new
message cannot forget it: tracebacks, warnings, logs, and whatever a library prints.
"""

import logging
import sys
from collections.abc import Iterable
from typing import IO, Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from onward.printable import printable

_LAYOUT = "\n\t"
"""Control characters that lay out a text."""


class SafeConsole(Console):
    """A console that escapes control characters in everything that it renders.

    Its own colours and movements of the cursor are kept apart from the text, so they are not escaped.
    """

    @property
    def file(self) -> IO[str]:
        """The stream below those that escape, or that a progress bar has put in the place of the streams."""
        file = super().file
        while (below := getattr(file, "rich_proxied_file", None)) is not None:
            file = below
        return file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep=_LAYOUT), style, control)


class SafeStream:
    """A text stream that escapes control characters in everything that is written to it.

    Attributes:
        rich_proxied_file: the stream below. The consoles of rich look for this name, and write there.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(printable(text, keep=_LAYOUT))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def guard_streams() -> None:
    """Guards standard error, and standard output if it is a terminal. A log message becomes one line."""
    sys.stderr = cast(TextIO, SafeStream(sys.stderr))
    if sys.stdout.isatty():
        sys.stdout = cast(TextIO, SafeStream(sys.stdout))
    if logging.lastResort:
        logging.lastResort.setFormatter(_OneLine())


class _OneLine(logging.Formatter):
    """Escapes line ends in a message, so that text from a request cannot forge a second message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - a name of logging
        return printable(super().formatMessage(record).rstrip())  # uvicorn ends some with a line end
