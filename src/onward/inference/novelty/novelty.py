"""The spans of a text that are copied from a corpus.

A span is a run of symbols of the text that occurs in a document of the corpus and is not part of a longer
span. All spans are found in one pass over the corpus (see `matcher`).
"""

import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from onward.data.corpus import Corpus, find_sources, read_bytes
from onward.data.pieces import pieces
from onward.data.vocabulary import SymbolKind, as_bytes, as_text, code_points, lower_case, split
from onward.errors import CorpusError, InputError
from onward.inference.novelty.automaton import SYMBOL
from onward.inference.novelty.matcher import NO_MATCH, MatchedSpans, Matcher

MINIMUM = 20
"""Default minimum length of a span, in symbols."""

CorpusSource: TypeAlias = Corpus | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A corpus, or one or several sources for `find_sources`."""


@dataclass(frozen=True)
class Span:
    """A run of symbols of the text that occurs in the corpus.

    Attributes:
        start: its position in the text, in symbols from 0.
        length: number of its symbols.
        text: its characters.
        document: the first file that contains it.
        line: the line of the file in which it begins, from 1.
        position: its position in the file, in symbols from 0.
    """

    start: int
    length: int
    text: str
    document: str
    line: int
    position: int


@dataclass(frozen=True)
class Novelty:
    """The spans of a text that are copied from a corpus.

    Attributes:
        symbols: number of symbols of the text.
        covered: number of symbols that are part of a span.
        minimum: minimum length of a span, in symbols.
        span_count: total number of spans.
        spans: the longest spans, the longest first.
    """

    symbols: int
    covered: int
    minimum: int
    span_count: int
    spans: tuple[Span, ...]

    @property
    def share(self) -> float:
        """Share of the symbols that are part of a span, from 0 to 1."""
        return self.covered / self.symbols

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return asdict(self) | {"share": self.share, "spans": [asdict(span) for span in self.spans]}


def novelty(
    text: str | bytes | Path,
    corpus: CorpusSource,
    *,
    kind: SymbolKind = "characters",
    lower: bool = False,
    minimum: int = MINIMUM,
    longest: int = 10,
) -> Novelty:
    """Finds the spans of a text that are copied from a corpus.

    Ten million symbols of corpus take about a second, and more time than linear is never needed. The memory
    does not depend on the size of the corpus; each symbol of the text takes about 160 bytes.

    Args:
        text: the text itself, or a file as a `Path`.
        corpus: the corpus to search.
        kind: unit of text that is one symbol.
        lower: whether to compare in lower case.
        minimum: minimum length of a span, in symbols.
        longest: number of spans to return.

    Raises:
        CorpusError: the text or the corpus is empty, or cannot be read.
        InputError: `minimum` is below 1, or `longest` below 0.
    """
    if minimum < 1 or longest < 0:
        expected = "expected a minimum length of 1 or more, and a number of spans of 0 or more"
        raise InputError(f"{expected}, got {minimum} and {longest}")
    search = search_slices(text, corpus, kind=kind, lower=lower, minimum=minimum, longest=longest)
    while True:
        try:
            next(search)
        except StopIteration as stop:
            return stop.value


def search_slices(
    text: str | bytes | Path,
    corpus: CorpusSource,
    *,
    kind: SymbolKind,
    lower: bool,
    minimum: int,
    longest: int,
) -> Generator[None, None, Novelty]:
    """Does the work of `novelty` in slices: yields after each piece of the corpus, and returns the result."""
    searched = _corpus(corpus)
    compared = _ComparedText(_content(text), kind, lower=lower)
    matcher = Matcher(compared.symbols, minimum=minimum, newline=compared.newline)
    for document in searched.documents:
        matcher.begin_document()
        for piece in pieces(read_bytes(document), kind):
            matcher.read(compared.encode(piece))
            yield
    found = matcher.finish()
    order = np.argsort(-found.lengths, kind="stable")[:longest]
    spans = tuple(_span_at(number, found, compared, searched) for number in order.tolist())
    return Novelty(len(compared.symbols), _covered(found), minimum, len(found.starts), spans)


def _span_at(number: int, found: MatchedSpans, compared: "_ComparedText", searched: Corpus) -> Span:
    start, length = int(found.starts[number]), int(found.lengths[number])
    document, position, line = found.origins[number].tolist()
    path = str(searched.documents[document])
    return Span(start, length, compared.characters(start, length), path, line + 1, position)


def _covered(found: MatchedSpans) -> int:
    """Returns the number of symbols that are part of a span. The starts and the ends are in order."""
    ends = found.starts + found.lengths
    return int((ends - np.maximum(found.starts, np.append(0, ends[:-1]))).sum()) if len(ends) else 0


def _corpus(sources: CorpusSource) -> Corpus:
    if isinstance(sources, Corpus):
        return sources
    return find_sources([sources] if isinstance(sources, str | os.PathLike) else sources)


def _content(text: str | bytes | Path) -> str | bytes:
    if isinstance(text, Path):
        return b"".join(piece for document in _corpus(text).documents for piece in read_bytes(document))
    if not text:
        raise CorpusError(
            "expected a text with at least one symbol, got an empty one", hint="give a text that is not empty"
        )
    return text


class _ComparedText:
    """The text as symbols, and an encoder of the corpus into the same symbols.

    Unlike in the vocabulary of a model, different characters or words are always different symbols.

    Attributes:
        symbols: symbols of the text, (N,).
        newline: the symbol that ends a line.
    """

    def __init__(self, text: str | bytes, kind: SymbolKind, *, lower: bool) -> None:
        self._kind: SymbolKind = kind
        self._lower = lower
        self._words: dict[str, int] = {"\n": 0}
        if kind == "bytes":
            raw = as_bytes(text)
            self._text: str | bytes | list[str] = raw.lower() if lower else raw
        else:
            characters = lower_case(as_text(text)) if lower else as_text(text)
            self._text = list(split(characters, "words")) if kind == "words" else characters
        for word in self._text if isinstance(self._text, list) else ():
            self._words.setdefault(word, len(self._words))
        self.symbols = self._symbols(self._text)
        self.newline = 0 if kind == "words" else ord("\n")

    def encode(self, piece: str | bytes) -> np.ndarray:
        """Returns the symbols of a piece of the corpus, (n,)."""
        if isinstance(piece, bytes):
            return self._symbols(piece.lower() if self._lower else piece)
        text = lower_case(piece) if self._lower else piece
        return self._symbols(split(text, "words") if self._kind == "words" else text)

    def characters(self, start: int, length: int) -> str:
        """Returns the characters of a run of symbols of the text."""
        part = self._text[start : start + length]
        if isinstance(part, bytes):
            return part.decode("utf-8", "replace")
        return "".join(part)

    def _symbols(self, text: str | bytes | Iterable[str]) -> np.ndarray:
        if isinstance(text, bytes):
            return np.frombuffer(text, np.uint8)
        if isinstance(text, str):
            return code_points(text)
        known = self._words
        return np.fromiter((known.get(word, NO_MATCH) for word in text), SYMBOL)
