"""What a user gives to be read: a text, ids, or files, as symbols in order."""

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

Readable: TypeAlias = str | bytes | np.ndarray | Sequence[SupportsIndex]
"""A text, its bytes, or its ids (N,)."""

Source: TypeAlias = Readable | Path | Corpus
"""What can be read, or what `find_sources` takes (a `Path`, "-" among them), or has found (a `Corpus`)."""

LONGEST_LINE = 1 << 16
"""Characters of a line that are kept to show it."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_LINE_OF_BYTES = re.compile(rb"[^\n]*\n|[^\n]+")


class Line(NamedTuple):
    """A line of a text: its characters without the end (at most `LONGEST_LINE`), and its symbols with it."""

    text: str
    symbols: int


@dataclass(frozen=True)
class Text:
    """A text as symbols.

    Attributes:
        ids: (N,), in memory or in a file.
        lines: gives its lines, in order; their symbols add up to N.
    """

    ids: Symbols
    lines: Callable[[], Iterator[Line]]


@contextmanager
def opened(source: Source, vocabulary: Vocabulary) -> Iterator[Text]:
    """The text of a source. Files are encoded to a temporary one, in constant memory.

    Raises:
        CorpusError: there is no text in it, or it cannot be read.
        VocabularyError: ids that the vocabulary does not have.
        WriteError: no room for the temporary file.
    """
    if isinstance(source, Path | Corpus):
        corpus = source if isinstance(source, Corpus) else find_sources([source])
        how = Encoding(vocabulary.kind, vocabulary.lower, vocabulary=vocabulary)
        with tempfile.TemporaryDirectory(prefix="onward-", ignore_cleanup_errors=True) as folder:
            ids = encode_corpus(corpus, how, cache=Path(folder)).ids
            yield Text(ids, lambda: _lines_of_files(corpus, vocabulary))
        return
    ids = ids_of(source, vocabulary)
    if len(ids) == 0:
        raise CorpusError(
            "expected a text with at least one symbol, got an empty one", hint="give it text to read"
        )
    if isinstance(source, str | bytes):
        yield Text(ids, lambda: _lines(_pieces_of(source, vocabulary), vocabulary))
    else:
        yield Text(ids, lambda: _lines_of_ids(ids, vocabulary))


def ids_of(readable: Readable, vocabulary: Vocabulary) -> np.ndarray:
    """The ids of what can be read, (N,).

    Raises:
        VocabularyError: ids that the vocabulary does not have.
    """
    if isinstance(readable, str | bytes):
        return vocabulary.encode(readable)
    ids = np.asarray(readable)
    if ids.dtype.kind not in "uifb" or ids.ndim == 0:
        expected = f"expected a text, bytes, or a row of ids from 0 to {len(vocabulary) - 1}"
        raise VocabularyError(f"{expected}, got {type(readable).__name__}", hint="give it as text")
    if ids.size == 0:
        return np.zeros(0, vocabulary.dtype)
    if ids.ndim != 1 or ids.dtype.kind not in "ui" or ids.min() < 0 or ids.max() >= len(vocabulary):
        found = f"{ids.dtype} {list(ids.shape)} from {ids.min()} to {ids.max()}"
        raise VocabularyError(f"expected a row of ids from 0 to {len(vocabulary) - 1}, got {found}")
    return ids


def _pieces_of(text: str | bytes, vocabulary: Vocabulary) -> list[str] | list[bytes]:
    """A text in memory as the one piece that its vocabulary encodes."""
    if vocabulary.kind == "bytes":
        return [as_bytes(text)]
    return [as_text(text)]


def _lines_of_files(corpus: Corpus, vocabulary: Vocabulary) -> Iterator[Line]:
    """The lines of documents; of several, the last line of each has the symbol for its end."""
    for document in corpus.documents:
        last: Line | None = None
        for line in _lines(pieces(read_bytes(document), vocabulary.kind), vocabulary):
            if last:
                yield last
            last = line
        if len(corpus.documents) > 1:
            last = Line(last.text, last.symbols + 1) if last else Line("", 1)
        if last:
            yield last


def _lines(texts: Iterable[str] | Iterable[bytes], vocabulary: Vocabulary) -> Iterator[Line]:
    """The lines of a text that comes in pieces, as it was before it was encoded."""
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
    """The lines of a text of which only the ids are known; one, if the vocabulary has no end of line."""
    (newline,) = vocabulary.encode("\n").tolist()
    ends = np.flatnonzero(ids == newline) + 1 if newline != UNKNOWN else np.zeros(0, np.int64)
    for part in np.split(ids, ends):
        if len(part):
            yield Line(vocabulary.decode(part[:LONGEST_LINE]).rstrip("\r\n"), len(part))
