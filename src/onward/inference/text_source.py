"""Sources of symbols: texts, ids, and files."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, SupportsIndex, TypeAlias

import numpy as np

from onward.data.corpus import Corpus, find_sources, read_bytes
from onward.data.encoded import Encoding, encode_corpus
from onward.data.pieces import pieces
from onward.data.symbols import Symbols
from onward.data.vocabulary import UNKNOWN, Vocabulary, as_bytes, as_text
from onward.errors import CorpusError, VocabularyError

TextOrIds: TypeAlias = str | bytes | np.ndarray | Sequence[SupportsIndex]
"""A text, its bytes, or its ids (N,)."""

TextSource: TypeAlias = TextOrIds | Path | Corpus
"""A text or ids, a file or folder as a `Path` ("-" is standard input), or a `Corpus`."""

LONGEST_LINE = 1 << 16
"""Maximum number of characters of `Line.text`."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_LINE_OF_BYTES = re.compile(rb"[^\n]*\n|[^\n]+")


class Line(NamedTuple):
    """A line of a text.

    Attributes:
        text: its characters without the line end, at most `LONGEST_LINE` of them.
        symbols: number of its symbols, including the line end.
    """

    text: str
    symbols: int


@dataclass(frozen=True)
class OpenText:
    """A text whose symbols can be read.

    Attributes:
        ids: the ids of its symbols, (N,), in memory or in a file.
        lines: a function that returns the lines in order; the numbers of their symbols add up to N.
    """

    ids: Symbols
    lines: Callable[[], Iterator[Line]]


@contextmanager
def open_source(source: TextSource, vocabulary: Vocabulary) -> Iterator[OpenText]:
    """Opens a source. Files are encoded to a temporary file, in constant memory.

    Raises:
        CorpusError: the source has no text, or cannot be read.
        VocabularyError: an id is not in the vocabulary.
        WriteError: the disk has no space for the temporary file.
    """
    if isinstance(source, Path | Corpus):
        corpus = source if isinstance(source, Corpus) else find_sources([source])
        how = Encoding(vocabulary.kind, vocabulary.lower, vocabulary=vocabulary)
        with tempfile.TemporaryDirectory(prefix="onward-", ignore_cleanup_errors=True) as folder:
            ids = encode_corpus(corpus, how, cache=Path(folder)).ids
            yield OpenText(ids, lambda: _lines_of_files(corpus, vocabulary))
        return
    ids = ids_of(source, vocabulary)
    if len(ids) == 0:
        raise CorpusError(
            "expected a text with at least one symbol, got an empty one", hint="give a text that is not empty"
        )
    if isinstance(source, str | bytes):
        yield OpenText(ids, lambda: _lines(_pieces_of(source, vocabulary), vocabulary))
    else:
        yield OpenText(ids, lambda: _lines_of_ids(ids, vocabulary))


def ids_of(symbols: TextOrIds, vocabulary: Vocabulary) -> np.ndarray:
    """Returns the ids (N,) of a text, or the ids themselves as an array.

    Raises:
        VocabularyError: the symbols are neither a text nor ids, or an id is not in the vocabulary.
    """
    if isinstance(symbols, str | bytes):
        return vocabulary.encode(symbols)
    ids = np.asarray(symbols)
    if ids.dtype.kind not in "uifb" or ids.ndim == 0:
        expected = f"expected a text, bytes, or a row of ids from 0 to {len(vocabulary) - 1}"
        raise VocabularyError(f"{expected}, got {type(symbols).__name__}", hint="give a text instead")
    if ids.size == 0:
        return np.zeros(0, vocabulary.dtype)
    if ids.ndim != 1 or ids.dtype.kind not in "ui" or ids.min() < 0 or ids.max() >= len(vocabulary):
        found = f"{ids.dtype} {list(ids.shape)} from {ids.min()} to {ids.max()}"
        raise VocabularyError(f"expected a row of ids from 0 to {len(vocabulary) - 1}, got {found}")
    return ids


def _pieces_of(text: str | bytes, vocabulary: Vocabulary) -> list[str] | list[bytes]:
    if vocabulary.kind == "bytes":
        return [as_bytes(text)]
    return [as_text(text)]


def _lines_of_files(corpus: Corpus, vocabulary: Vocabulary) -> Iterator[Line]:
    """Yields the lines of documents. If there are several documents, each one's last line includes END."""
    for document in corpus.documents:
        last: Line | None = None
        parts = pieces(read_bytes(document), vocabulary.kind, marks=vocabulary.marks)
        for line in _lines(parts, vocabulary):
            if last:
                yield last
            last = line
        if len(corpus.documents) > 1:
            last = Line(last.text, last.symbols + 1) if last else Line("", 1)
        if last:
            yield last


def _lines(texts: Iterable[str] | Iterable[bytes], vocabulary: Vocabulary) -> Iterator[Line]:
    """Yields the lines of a text that arrives in pieces."""
    shown, symbols = "", 0
    for text in texts:
        parts = _LINE.findall(text) if isinstance(text, str) else _LINE_OF_BYTES.findall(text)
        for part in parts:
            characters = part if isinstance(part, str) else part.decode("utf-8", "replace")
            shown = (shown + characters)[:LONGEST_LINE] if len(shown) < LONGEST_LINE else shown
            symbols += len(vocabulary.encode(part))
            if characters.endswith("\n"):
                yield Line(shown.rstrip("\r\n"), symbols)
                shown, symbols = "", 0
    if symbols:
        yield Line(shown, symbols)


def _lines_of_ids(ids: np.ndarray, vocabulary: Vocabulary) -> Iterator[Line]:
    """Yields the lines of ids; only one line if the vocabulary has no newline."""
    (newline,) = vocabulary.encode("\n").tolist()
    ends = np.flatnonzero(ids == newline) + 1 if newline != UNKNOWN else np.zeros(0, np.int64)
    for part in np.split(ids, ends):
        if len(part):
            yield Line(vocabulary.decode(part[:LONGEST_LINE]).rstrip("\r\n"), len(part))
