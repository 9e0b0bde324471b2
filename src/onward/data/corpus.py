"""Sources of text: what a user names, as documents that can be read piece by piece."""

import atexit
import codecs
import glob
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onward.data.compressed import decompressed, open_bytes
from onward.data.named import find_named
from onward.errors import CorpusError, WriteError

CHUNK = 1 << 22
"""Bytes read at once."""

STANDARD_INPUT = "-"
_SNIFFED = 8192
_MAGIC = set("*?[")
_UNREADABLE = "check that the path is right and that you may read it"


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order.

    Attributes:
        name: what the user called it; the first of more than three sources stands for all.
        documents: the files.
        skipped: files of a folder that are hidden or are not text (a NUL byte is among their first 8192).
            Hidden folders are not entered, nor are links to folders followed, and neither are counted.
        digests: SHA-256 of the documents that are copies of a pipe, in hexadecimal: they are known by their
            content, since the path of the copy is another one each time.
    """

    name: str
    documents: tuple[Path, ...]
    skipped: int = 0
    digests: Mapping[Path, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes in all documents."""
        return sum(status(document).st_size for document in self.documents)


def find_sources(sources: Sequence[str | os.PathLike[str]]) -> Corpus:
    """The documents that the sources name, each once, in the order of the sources and of their names.

    Args:
        sources: files; folders, of which all text files are taken, at any depth; patterns such as
            `src/**/*.py`; "-" for standard input; or a named corpus (see `named`).

    Raises:
        CorpusError: a source that is missing or cannot be read, or no text in any of them.
        WriteError: no room for the copy of a pipe, or for a named corpus.
    """
    found = _Found()
    names = list(dict.fromkeys(str(source) for source in sources))  # standard input can be read once only
    for source in names:
        try:
            _find(source, found)
        except OSError as error:
            raise CorpusError(
                f"cannot read {error.filename or source}: {error.strerror}", hint=_UNREADABLE
            ) from error
    name = ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"
    if not found.documents:
        left_out = f" but {found.skipped} hidden or binary" if found.skipped else ""
        raise CorpusError(
            f"expected text in {name or 'the sources'}, found no file of text{left_out}",
            hint="name a text file, a folder with text files, a pattern, or - for standard input",
        )
    corpus = Corpus(name, found.documents, found.skipped, found.digests)
    if not any(map(_has_content, corpus.documents)):
        what = "standard input" if name == STANDARD_INPUT else name
        raise CorpusError(f"expected text, but {what} is empty", hint="name a file with text in it")
    return corpus


def read_bytes(document: Path, at: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """Yields the content of a document piece by piece, decompressed if it is compressed.

    Args:
        document: the file.
        at: called after each piece with the bytes of the file read so far; of an archive, compressed bytes.

    Raises:
        CorpusError: the document cannot be read, or is a damaged archive.
    """
    try:
        with document.open("rb") as file, decompressed(file, document) as content:
            while piece := content.read(CHUNK):
                yield piece
                if at:
                    at(file.tell())
    except OSError as error:
        raise CorpusError(f"cannot read {document}: {error.strerror}", hint=_UNREADABLE) from error


def status(document: Path) -> os.stat_result:
    """The size and times of a document.

    Raises:
        CorpusError: it cannot be read, or is no longer there.
    """
    try:
        return document.stat()
    except OSError as error:
        raise CorpusError(f"cannot read {document}: {error.strerror}", hint=_UNREADABLE) from error


def decode(pieces: Iterable[bytes]) -> Iterator[str]:
    """Bytes as UTF-8, with U+FFFD for each invalid one; no character is cut, line ends stay as they are."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    if rest := decoder.decode(b"", final=True):
        yield rest


@dataclass
class _Found:
    """What was found so far; a file that is found in several ways is there once, as it was first named."""

    digests: dict[Path, str] = field(default_factory=dict)
    skipped: int = 0
    _documents: dict[Path, Path] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        """One more document."""
        self._documents.setdefault(path.resolve(), path)

    @property
    def documents(self) -> tuple[Path, ...]:
        """In the order in which they were found."""
        return tuple(self._documents.values())


def _find(source: str, found: _Found) -> None:
    """Adds the files of one source."""
    path = Path(source)
    if source == STANDARD_INPUT and sys.stdin:  # which is None where it was closed
        _spool(sys.stdin.buffer.read, found)
    elif path.is_file():
        found.add(path)
    elif path.is_fifo():
        with path.open("rb") as pipe:
            _spool(pipe.read, found)
    elif source and path.is_dir():  # a path of no letters is the folder one stands in
        _walk(path, found)
    elif _MAGIC & set(source):
        for match in _matches(source):
            found.add(match)
    elif named := find_named(source):
        found.add(named)
    else:
        raise CorpusError(
            f"expected a file, folder, pattern or named corpus, there is no {source!r}",
            hint="check the path; named corpora are pydoc (built in), nietzsche and tinyshakespeare",
        )


def _matches(pattern: str) -> list[Path]:
    """The files that a pattern names, sorted."""
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if files := [Path(name) for name in names if Path(name).is_file()]:
        return files
    raise CorpusError(
        f"expected files that match {pattern}, there are none",
        hint="check the folder it begins in; ** stands for folders at any depth",
    )


def _walk(folder: Path, found: _Found) -> None:
    """Adds the text files below a folder, and counts those that are hidden or binary."""
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in sorted(files)):
            if not path.name.startswith(".") and path.is_file() and not _is_binary(path):
                found.add(path)
            else:
                found.skipped += 1


def _refuse(error: OSError) -> None:
    """Speaks of a folder that cannot be read; `os.walk` would leave it out in silence."""
    raise CorpusError(f"cannot read {error.filename}: {error.strerror}", hint=_UNREADABLE) from error


def _is_binary(path: Path) -> bool:
    """Whether the beginning of a file's content holds a NUL byte, which is git's rule too."""
    with open_bytes(path) as file:
        return b"\0" in file.read(_SNIFFED)


def _has_content(path: Path) -> bool:
    return next(read_bytes(path), b"") != b""


def _spool(read: Callable[[int], bytes], found: _Found) -> None:
    """Adds what a pipe gives, in a temporary file, since a corpus is read twice; it goes when Python ends."""
    digest = hashlib.sha256()
    try:
        with tempfile.NamedTemporaryFile(prefix="onward-", suffix=".txt", delete=False) as file:
            path = Path(file.name)
            atexit.register(path.unlink, missing_ok=True)
            while piece := read(CHUNK):
                digest.update(piece)
                file.write(piece)
    except OSError as error:
        raise WriteError(
            f"cannot copy standard input to {tempfile.gettempdir()}: {error.strerror}",
            hint="set TMPDIR to a folder with more room, or name a file instead of a pipe",
        ) from error
    found.add(path)
    found.digests[path] = digest.hexdigest()
