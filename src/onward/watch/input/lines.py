"""Reads the lines of documents, with any line ends, any bytes and any length."""

import re
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from onward.data.encodings import open_text
from onward.errors import CorpusError

LONGEST_LINE = 1 << 20
"""Bytes to keep of a line. The rest of a longer line is dropped, so that memory is bounded."""

_SAMPLED = 1 << 16
_CONTROL_SHARE = 0.02
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

_BYTE_ORDER_MARK = "\ufeff"
_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and movements
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # strings, such as the title of a window
    r"|\x1b[ -/]*[0-~]?"
)


def read_lines(documents: Iterable[Path]) -> Iterator[bytes]:
    """Yields the lines of documents one after another, without their line ends.

    Documents may be compressed, or in UTF-16 (see `encodings`). Lines are cut to `LONGEST_LINE` bytes.

    Raises:
        CorpusError: a document cannot be read.
    """
    for document in documents:
        try:
            with open_text(document) as file:
                yield from _lines(file)
        except (OSError, EOFError) as error:
            raise CorpusError(
                f"cannot read {document}: {error}",
                hint="check that the file may be read and, if it is compressed, that it is complete",
            ) from error


def decode_line(raw: bytes) -> str:
    """Returns a line as text, without its line end, its byte order mark and what only a terminal obeys.

    Invalid UTF-8 becomes U+FFFD. NULs before the line are dropped: they are there if the log was truncated
    while its writer kept its position.
    """
    text = raw[:LONGEST_LINE].rstrip(b"\r\n").lstrip(b"\0").decode("utf-8", "replace")
    return plain_text(text.removeprefix(_BYTE_ORDER_MARK))


def is_binary(lines: Iterable[bytes]) -> bool:
    """Whether lines are not text in any encoding: text has hardly any control characters.

    Random bytes have 11 % of them. Invalid UTF-8 tells nothing, because text in an old encoding has it too.
    """
    text = "".join(decode_line(line[:_SAMPLED]) for line in lines)
    return len(_CONTROLS.findall(text)) > _CONTROL_SHARE * len(text)


def plain_text(text: str) -> str:
    """Returns a text without escape sequences, such as colours."""
    return _TERMINAL.sub("", text) if "\x1b" in text else text


def _lines(file: BufferedReader) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        kept = line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        yield kept.rstrip(b"\r\n")
