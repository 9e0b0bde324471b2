"""Finds the text files that a user named, and reads them piece by piece."""

import atexit
import codecs
import glob
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onward.data.compressed import decompressed
from onward.data.encodings import is_text, text_of
from onward.data.named import find_named
from onward.errors import CorpusError, WriteError
from onward.file_kind import kind_of

CHUNK = 1 << 22
"""Bytes to read at once."""

STANDARD_INPUT = "-"
_SNIFFED = 8192
_ANY_DEPTH = re.compile(r"(?:^|(?<=/))\*\*(?:/+|$)")
_MAGIC = set("*?[")
_UNREADABLE = "check that the path is right and that you may read it"


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order.

    Attributes:
        name: the sources as the user named them; if there are more than three, the first one and the number
            of the others.
        documents: the files.
        skipped: number of files in source folders that were left out because they are hidden, or binary (with
            a NUL byte among their first 8192). Files in hidden folders and behind links to folders are not
            counted.
        digests: SHA-256, in hexadecimal, of each document that is a copy of a pipe. It identifies the
            document, because each copy has a different path.
    """

    name: str
    documents: tuple[Path, ...]
    skipped: int = 0
    digests: Mapping[Path, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Size of all files in bytes; compressed files count with their compressed size."""
        return sum(status(document).st_size for document in self.documents)


def find_sources(sources: Sequence[str | os.PathLike[str]]) -> Corpus:
    """Finds the documents of all sources, each once, in the order of the sources, then of the file names.

    Args:
        sources: files, plain or compressed, in UTF-8 or UTF-16 (see `encodings`); folders, for all text
            files at any depth; patterns such as `src/**/*.py`; "-" for standard input; or named corpora (see
            `named`).

    Raises:
        CorpusError: a source is missing or cannot be read, or no source has any text.
        WriteError: the disk has no space for the copy of a pipe or for a named corpus.
    """
    found = _FoundDocuments()
    names = list(dict.fromkeys(str(source) for source in sources))  # standard input can be read only once
    for source in names:
        try:
            _find(source, found)
        except OSError as error:
            raise CorpusError(
                f"cannot read {error.filename or source}: {error.strerror}", hint=_UNREADABLE
            ) from error
    name = ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"
    if not found.documents:
        skipped = f" ({found.skipped} hidden or binary files were skipped)" if found.skipped else ""
        raise CorpusError(
            f"expected text in {name or 'the sources'}, found no text files{skipped}",
            hint="name a text file, a folder with text files, a pattern, or - for standard input",
        )
    corpus = Corpus(name, found.documents, found.skipped, found.digests)
    if not any(map(_may_have_content, corpus.documents)):
        what = "standard input" if name == STANDARD_INPUT else name
        raise CorpusError(f"expected text, but {what} is empty", hint="name a file that contains text")
    return corpus


def read_bytes(document: Path, at: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """Yields the content of a document piece by piece, decompressed and in UTF-8 (see `encodings`).

    Args:
        document: the file.
        at: called after each piece with the number of bytes of the file read so far, before decompression.

    Raises:
        CorpusError: the document cannot be read, is a damaged archive, or has bytes that are not in its
            encoding.
    """
    try:
        with document.open("rb") as file, text_of(file, document) as content:
            while piece := content.read(CHUNK):
                yield piece
                if at:
                    at(file.tell())
    except OSError as error:
        raise CorpusError(f"cannot read {document}: {error.strerror}", hint=_UNREADABLE) from error


def status(document: Path) -> os.stat_result:
    """Returns the size and times of a document.

    Raises:
        CorpusError: the document cannot be read, or no longer exists.
    """
    try:
        return document.stat()
    except OSError as error:
        raise CorpusError(f"cannot read {document}: {error.strerror}", hint=_UNREADABLE) from error


def has_content(document: Path) -> bool:
    """Returns whether a document has any content after decompression.

    Raises:
        CorpusError: the document cannot be read, or is a damaged archive.
    """
    return next(read_bytes(document), b"") != b""


def _may_have_content(document: Path) -> bool:
    """Like `has_content`, but also true for a document that cannot be read: its reader reports that."""
    try:
        return has_content(document)
    except CorpusError:
        return True


def decode(pieces: Iterable[bytes]) -> Iterator[str]:
    """Decodes pieces of UTF-8. Each invalid byte becomes U+FFFD, and line ends are not translated."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    if rest := decoder.decode(b"", final=True):
        yield rest


@dataclass
class _FoundDocuments:
    """The documents found so far. A file that is found several times is listed once, under its first name."""

    digests: dict[Path, str] = field(default_factory=dict)
    skipped: int = 0
    _documents: dict[Path, Path] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        self._documents.setdefault(path.resolve(), path)

    @property
    def documents(self) -> tuple[Path, ...]:
        return tuple(self._documents.values())


def _find(source: str, found: _FoundDocuments) -> None:
    path = Path(source)
    if source == STANDARD_INPUT:
        check_standard_input()
        _spool(sys.stdin.buffer.read, found)
    elif path.is_file():
        found.add(path)
    elif path.is_fifo():
        with path.open("rb") as pipe:
            _spool(pipe.read, found)
    elif source and path.is_dir():  # an empty path would be the current folder
        _walk(path, found)
    elif _MAGIC & set(source):
        for match in _matches(source):
            found.add(match)
    elif named := find_named(source):
        found.add(named)
    elif source and path.exists():
        raise CorpusError(
            f"expected a file, a folder or a pipe, got {kind_of(path.stat().st_mode)}: {source}",
            hint="to read a device, give - as the source and the device as standard input",
        )
    else:
        raise CorpusError(
            f"expected a file, folder, pattern or named corpus, but there is no {source!r}",
            hint="check the path; named corpora are pydoc (built in), nietzsche and tinyshakespeare",
        )


def check_standard_input() -> None:
    """Raises CorpusError if standard input is closed."""
    if sys.stdin is None:
        raise CorpusError("standard input is closed", hint="pipe something into it, or name a file")


def _matches(pattern: str) -> list[Path]:
    """Returns the files that match a pattern, sorted."""
    if files := [Path(name) for name in sorted(set(_names(pattern))) if Path(name).is_file()]:
        return files
    raise CorpusError(
        f"expected files that match {pattern}, found none",
        hint="check the folder at its start; ** matches folders at any depth",
    )


def _names(pattern: str) -> Iterator[str]:
    """Yields the names that match a pattern, some of them several times.

    `glob` follows links for `**`: in a folder with two links to itself it finds 2^40 names.
    """
    before, *after = _ANY_DEPTH.split(pattern, maxsplit=1)
    if not after:
        yield from glob.glob(pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return
    for top in glob.glob(before) if before else [""]:  # noqa: PTH207
        for folder, _ in _folders(top or ".", onerror=lambda _: None):
            below = folder if top else os.path.relpath(folder)
            start = "" if below == "." else os.path.join(glob.escape(below), "")  # noqa: PTH118
            yield from _names(start + (after[0] or "*"))


def _folders(top: str, onerror: Callable[[OSError], None]) -> Iterator[tuple[str, list[str]]]:
    """Yields a folder and all folders below it at any depth, each with the names of its files.

    Hidden folders and links to folders are left out. `os.walk` is recursive in Python 3.11, so it fails for
    folders that are nested deeply.
    """
    waiting = [top]
    while waiting:
        parent, folders, files = waiting.pop(), list[str](), list[str]()
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    is_link = entry.is_symlink()
                    if not entry.is_dir():
                        files.append(entry.name)
                    elif not is_link and not entry.name.startswith("."):
                        folders.append(entry.path)
        except OSError as error:
            onerror(error)
        yield parent, files
        waiting += sorted(folders, reverse=True)


def _walk(folder: Path, found: _FoundDocuments) -> None:
    """Adds the text files below a folder, and counts the hidden and binary ones."""
    for parent, files in _folders(str(folder), _refuse):
        for path in (Path(parent, name) for name in sorted(files)):
            if not path.name.startswith(".") and path.is_file() and not _is_binary(path):
                found.add(path)
            else:
                found.skipped += 1


def _refuse(error: OSError) -> None:
    """Raises CorpusError for an unreadable folder, whose files would be missing silently."""
    raise CorpusError(f"cannot read {error.filename}: {error.strerror}", hint=_UNREADABLE) from error


def _is_binary(path: Path) -> bool:
    """Whether the beginning of a file has a NUL byte, the rule of git, and is not in UTF-16.

    A damaged archive is not skipped: its reader reports that.
    """
    try:
        with decompressed(path.open("rb"), path) as file:
            return not is_text(file.read(_SNIFFED))
    except CorpusError:
        return False


def _spool(read: Callable[[int], bytes], found: _FoundDocuments) -> None:
    """Copies a pipe to a temporary file, because a corpus is read twice. The copy is deleted at exit."""
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
            hint="set TMPDIR to a folder with more space, or name a file instead of a pipe",
        ) from error
    found.add(path)
    found.digests[path] = digest.hexdigest()
