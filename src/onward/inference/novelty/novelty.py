"""What of a text stands word for word in a corpus.

A span is a run of symbols of the text that stands in one document of the corpus, and is part of no longer run
that does. Spans are found exactly (see `grams`), in one pass over the corpus.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from onward.data.corpus import Corpus, find_sources, read_bytes
from onward.data.pieces import pieces
from onward.data.vocabulary import SymbolKind, as_bytes, as_text, code_points, lower_case, split
from onward.errors import CorpusError, InputError
from onward.inference.novelty.matcher import NO_MATCH, SYMBOL, Matcher

MINIMUM = 20
"""Symbols from which a span counts, unless another length is asked for."""

Sources: TypeAlias = Corpus | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A corpus, or what `find_sources` finds one by."""


@dataclass(frozen=True)
class Span:
    """A run of symbols of the text that stands in the corpus.

    Attributes:
        start: symbols of the text before it.
        length: its symbols.
        text: its characters.
        document: the file that it stands in; of several, the first.
        line: of the file, from 1, in which it begins there.
        position: symbols of the file before it.
    """

    start: int
    length: int
    text: str
    document: str
    line: int
    position: int


@dataclass(frozen=True)
class Novelty:
    """What of a text stands in a corpus.

    Attributes:
        symbols: in the text.
        covered: how many of them are part of a span.
        minimum: symbols from which a span counts.
        span_count: how many spans there are.
        spans: the longest of them, the longest first.
    """

    symbols: int
    covered: int
    minimum: int
    span_count: int
    spans: tuple[Span, ...]

    @property
    def share(self) -> float:
        """The share of the text that is part of a span, from 0 to 1."""
        return self.covered / self.symbols

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self) | {"share": self.share, "spans": [asdict(span) for span in self.spans]}


def novelty(
    text: str | bytes | Path,
    corpus: Sources,
    *,
    kind: SymbolKind = "characters",
    lower: bool = False,
    minimum: int = MINIMUM,
    longest: int = 10,
) -> Novelty:
    """Finds what of a text stands word for word in a corpus.

    Takes a second or two for ten million symbols of corpus, and constant memory but for some eighty bytes for
    each symbol of the text.

    Args:
        text: the text itself, or a file as a `Path`.
        corpus: where it may have been taken from.
        kind: what one symbol is.
        lower: compare in lower case.
        minimum: symbols from which a span counts.
        longest: how many spans to give.

    Raises:
        CorpusError: no text in one of the two, or it cannot be read.
        InputError: a minimum below 1.
    """
    if minimum < 1 or longest < 0:
        raise InputError(
            f"expected spans of 1 symbol or more, and 0 of them or more, got {minimum} and {longest}"
        )
    against = _found(corpus)
    compared = _Compared(_content(text), kind, lower=lower)
    matcher = Matcher(compared.symbols, minimum=minimum, newline=compared.newline)
    for document in against.documents:
        matcher.begin_document()
        for piece in pieces(read_bytes(document), kind):
            matcher.read(compared.encode(piece))
    covered, starts = _spans(matcher.longest)
    order = starts[np.argsort(-matcher.longest[starts], kind="stable")][:longest]
    spans = tuple(_span_at(start, matcher, compared, against) for start in order.tolist())
    return Novelty(len(compared.symbols), covered, minimum, len(starts), spans)


def _span_at(start: int, matcher: Matcher, compared: "_Compared", against: Corpus) -> Span:
    """The span that begins at a place of the text."""
    number, position, line = matcher.origins[start].tolist()
    length = int(matcher.longest[start])
    document = str(against.documents[number])
    return Span(start, length, compared.shown(start, length), document, line + 1, position)


def _spans(longest: np.ndarray) -> tuple[int, np.ndarray]:
    """How many places matches cover, and where those begin that are part of no other, by lengths (N,)."""
    starts = np.flatnonzero(longest)
    ends = starts + longest[starts]
    borders = np.zeros(len(longest) + 1, np.int64)
    np.add.at(borders, starts, 1)
    np.add.at(borders, ends, -1)
    before = np.maximum.accumulate(np.append(0, ends))[:-1]  # the furthest end of those that begin earlier
    return int((np.cumsum(borders) > 0).sum()), starts[ends > before]


def _found(sources: Sources) -> Corpus:
    """The corpus that is named."""
    if isinstance(sources, Corpus):
        return sources
    return find_sources([sources] if isinstance(sources, str | os.PathLike) else sources)


def _content(text: str | bytes | Path) -> str | bytes:
    """The text itself."""
    if isinstance(text, Path):
        return b"".join(piece for document in _found(text).documents for piece in read_bytes(document))
    if not text:
        raise CorpusError(
            "expected a text with at least one symbol, got an empty one", hint="give it text to read"
        )
    return text


class _Compared:
    """The text as symbols of a kind, and the way to make the same symbols of a corpus.

    Unlike a vocabulary of a model, this tells all symbols apart.

    Attributes:
        symbols: (N,).
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
            readable = lower_case(as_text(text)) if lower else as_text(text)
            self._text = list(split(readable, "words")) if kind == "words" else readable
        for word in self._text if isinstance(self._text, list) else ():
            self._words.setdefault(word, len(self._words))
        self.symbols = self._symbols(self._text)
        self.newline = 0 if kind == "words" else ord("\n")

    def encode(self, piece: str | bytes) -> np.ndarray:
        """The symbols of a piece of corpus, (n,)."""
        if isinstance(piece, bytes):
            return self._symbols(piece.lower() if self._lower else piece)
        text = lower_case(piece) if self._lower else piece
        return self._symbols(split(text, "words") if self._kind == "words" else text)

    def shown(self, start: int, length: int) -> str:
        """The characters of a run of symbols of the text."""
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
