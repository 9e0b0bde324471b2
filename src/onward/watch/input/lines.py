"""Lines of files, of folders, of patterns and of standard input, whatever their ends and their bytes."""

import gzip
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from os import PathLike

from onward.data.corpus import find_sources
from onward.errors import CorpusError

LONGEST_LINE = 1 << 20
"""Bytes of a line that are kept; what follows up to its end is left out."""

GZIP = b"\x1f\x8b"
"""What gzip begins with."""

_MARK = "\ufeff"


def lines_of(sources: Sequence[str | PathLike[str]]) -> Iterator[bytes]:
    """The lines of the documents of sources (see `find_sources`), one after another, without their ends.

    Documents that gzip compressed are read as what they hold. Of a line longer than `LONGEST_LINE` the rest
    is left out, so that memory is bounded.

    Raises:
        CorpusError: a source that is missing, empty or cannot be read.
    """
    for document in find_sources(sources).documents:
        try:
            with document.open("rb") as raw:
                compressed = raw.peek(2)[:2] == GZIP
                yield from _lines(gzip.GzipFile(fileobj=raw) if compressed else raw)
        except (OSError, EOFError) as error:
            raise CorpusError(
                f"cannot read {document}: {error}",
                hint="check that you may read it, and that it is whole if it is compressed",
            ) from error


def text_of(raw: bytes) -> str:
    """A line as readers see it: without its end, and the byte order mark that some files begin with."""
    return raw[:LONGEST_LINE].rstrip(b"\r\n").decode("utf-8", "replace").removeprefix(_MARK)


def _lines(file: BufferedIOBase) -> Iterator[bytes]:
    """Of one document."""
    while line := file.readline(LONGEST_LINE):
        whole = line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        yield whole.rstrip(b"\r\n")
