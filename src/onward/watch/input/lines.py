"""Reads the lines of documents, with any line ends, any bytes and any length."""

from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from onward.data.encodings import open_text
from onward.errors import CorpusError

LONGEST_LINE = 1 << 20
"""Bytes to keep of a line. The rest of a longer line is dropped, so that memory is bounded."""

_BYTE_ORDER_MARK = "\ufeff"


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
    """Returns a line as text, without its line end and byte order mark; invalid UTF-8 becomes U+FFFD."""
    return raw[:LONGEST_LINE].rstrip(b"\r\n").decode("utf-8", "replace").removeprefix(_BYTE_ORDER_MARK)


def _lines(file: BufferedReader) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        kept = line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        yield kept.rstrip(b"\r\n")
