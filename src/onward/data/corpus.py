"""Sources of text: what a user names, as documents that can be read piece by piece."""

import atexit
import codecs
import glob
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from onward.data.named import find_named
from onward.errors import CorpusError

CHUNK = 1 << 22
"""Bytes read at once."""

STANDARD_INPUT = "-"
_SNIFFED = 8192
_MAGIC = set("*?[")


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order.

    Attributes:
        name: what the user called it.
        documents: the files.
        skipped: files of a folder that are not text (they hold a NUL byte) or are hidden.
    """

    name: str
    documents: tuple[Path, ...]
    skipped: int = 0

    @property
    def size(self) -> int:
        """Bytes in all documents."""
        return sum(document.stat().st_size for document in self.documents)


def find_sources(sources: Sequence[str | os.PathLike[str]]) -> Corpus:
    """The documents that the sources name.

    Args:
        sources: files; folders, of which all text files are taken, at any depth; patterns such as
            `src/**/*.py`; "-" for standard input; or a named corpus (see `named`).

    Raises:
        CorpusError: a source that is missing or cannot be read, or no text in any of them.
    """
    documents: list[Path] = []
    skipped = 0
    names = [str(source) for source in sources]
    for source in names:
        found, left_out = _find(source)
        documents += found
        skipped += left_out
    if not documents:
        raise CorpusError(
            f"expected text in {', '.join(names) or 'the sources'}, found no file of text",
            hint="name a text file, a folder with text files, a pattern, or - for standard input",
        )
    corpus = Corpus(", ".join(names), tuple(dict.fromkeys(documents)), skipped)
    if corpus.size == 0:
        raise CorpusError(f"expected text, but {corpus.name} is empty", hint="name a file with text")
    return corpus


def read_bytes(document: Path) -> Iterator[bytes]:
    """A document piece by piece.

    Raises:
        CorpusError: it cannot be read.
    """
    try:
        with document.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
    except OSError as error:
        raise CorpusError(f"cannot read {document}: {error.strerror}") from error


def decode(pieces: Iterable[bytes]) -> Iterator[str]:
    """Bytes as UTF-8, with U+FFFD for each invalid one; no character is cut, line ends stay as they are."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    if rest := decoder.decode(b"", final=True):
        yield rest


def _find(source: str) -> tuple[list[Path], int]:
    """The files of one source, and how many were left out."""
    if source == STANDARD_INPUT:
        return [_spool(sys.stdin.buffer)], 0
    path = Path(source)
    if path.is_file():
        return [path], 0
    if path.is_fifo():
        with path.open("rb") as pipe:
            return [_spool(pipe)], 0
    if path.is_dir():
        return _files_of(path)
    if _MAGIC & set(source):
        names = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if files := [Path(name) for name in names if Path(name).is_file()]:
            return files, 0
        raise CorpusError(
            f"no file matches {source}", hint="quote the pattern, and check the folder it begins in"
        )
    if named := find_named(source):
        return [named], 0
    raise CorpusError(
        f"there is no file, folder or named corpus {source!r}",
        hint="check the path; named corpora are pydoc (built in), nietzsche and tinyshakespeare",
    )


def _files_of(folder: Path) -> tuple[list[Path], int]:
    """The text files below a folder, by name, and how many were left out: hidden, or with a NUL byte."""
    files, skipped = [], 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts[:-1]):
            continue
        if path.name.startswith(".") or not path.is_file() or _is_binary(path):
            skipped += 1
        else:
            files.append(path)
    return files, skipped


def _is_binary(path: Path) -> bool:
    """Whether the beginning of a file holds a NUL byte, as git tells text from the rest."""
    try:
        with path.open("rb") as file:
            return b"\0" in file.read(_SNIFFED)
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}") from error


def _spool(stream: BinaryIO) -> Path:
    """What a pipe gives, in a temporary file, since a corpus is read twice; it goes when Python ends."""
    with tempfile.NamedTemporaryFile(prefix="onward-", suffix=".txt", delete=False) as file:
        path = Path(file.name)
        atexit.register(path.unlink, missing_ok=True)
        while piece := stream.read(CHUNK):
            file.write(piece)
    return path
