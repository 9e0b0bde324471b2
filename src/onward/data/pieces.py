"""Splits texts larger than memory into pieces that can be encoded one by one, and counts their symbols."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from onward.data.corpus import decode
from onward.data.vocabulary import (
    SymbolKind,
    Vocabulary,
    code_points,
    lower_case,
    split,
)
from onward.data.words import LONGEST_WORD, last_word_length

_CODE_POINTS = 0x110000


def pieces(raw: Iterable[bytes], kind: SymbolKind, *, marks: bool = True) -> Iterator[bytes] | Iterator[str]:
    """Yields text (or bytes) in pieces that a vocabulary like this can encode. No symbol is cut."""
    if kind == "bytes":
        return iter(raw)
    return decode(raw) if kind == "characters" else _whole_words(decode(raw), marks=marks)


class SymbolCounter:
    """Counts the symbols of a text that arrives in pieces."""

    def __init__(self, kind: SymbolKind, *, lower: bool) -> None:
        self._kind: SymbolKind = kind
        self._lower = lower
        self._words: Counter[str] = Counter()
        self._points = np.zeros(_CODE_POINTS if kind == "characters" else 0, np.int64)

    def add(self, piece: str | bytes) -> None:
        """Counts the symbols of a piece (see `pieces`). Bytes are not counted: their vocabulary is fixed."""
        if isinstance(piece, bytes):
            return
        text = lower_case(piece) if self._lower else piece
        if self._kind == "words":
            self._words.update(split(text, "words"))
        else:
            found = np.bincount(code_points(text))
            self._points[: len(found)] += found

    def vocabulary(self, min_count: int) -> Vocabulary:
        """Returns the vocabulary of all symbols counted at least `min_count` times, sorted by code point."""
        if self._kind == "bytes":
            return Vocabulary.of_bytes(lower=self._lower)
        counts: dict[str, int] = self._words
        if self._kind == "characters":
            counts = {chr(point): int(self._points[point]) for point in np.flatnonzero(self._points)}
        return Vocabulary.of_counts(counts, self._kind, lower=self._lower, min_count=min_count)


def _whole_words(texts: Iterable[str], *, marks: bool) -> Iterator[str]:
    """Yields the same text, cut only between words; an unfinished word waits for the next piece."""
    rest = ""
    for text in texts:
        joined = rest + text
        unfinished = last_word_length(joined, marks=marks) % LONGEST_WORD
        cut = len(joined) - unfinished
        rest = joined[cut:]
        yield joined[:cut]
    yield rest
