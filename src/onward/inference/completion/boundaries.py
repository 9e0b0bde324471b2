"""Where a continuation ends: after a word, at the end of a line, or after so many symbols.

A word is a run of letters, digits and underscores (`\\w`). A continuation up to the end of a word may begin
with marks and spaces: after "the" come "re" and " world", after "the," comes " and". It always has a word, or
the rest of one, in it; what ends it is not part of it. So "until the end of a word" means one thing wherever
in a text it is asked, and the events of which a search gives the probabilities exclude each other.
"""

import codecs
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN, Vocabulary
from onward.errors import InputError

Until: TypeAlias = Literal["word", "line"] | int
"""The end of a word, the end of a line, or so many symbols (of bytes: characters)."""

_WORD = re.compile(r"\w+")
_NEWLINE = re.compile(r"\n")
_LAST = chr(0x10FFFF)
_LEADS, _FOLLOWERS = (0xC2, 0xF5), (0x80, 0xC0)  # bytes that begin a character of several, and that go on


class Prefix(NamedTuple):
    """A continuation on its way.

    Attributes:
        text: its characters so far.
        begun: whether a word, or the rest of one, is in it.
        size: its symbols so far; of bytes, its characters.
        pending: bytes that are not yet a character.
    """

    text: str = ""
    begun: bool = False
    size: int = 0
    pending: bytes = b""


class Boundary(ABC):
    """Where continuations in a vocabulary end. Symbols that stand for no text are never part of one.

    Args:
        vocabulary: what ids mean.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._alphabet = _alphabet(vocabulary)

    def beginning_with(self, word: str) -> list[int]:
        """The symbols whose texts begin with a word."""
        return self._alphabet.beginning_with(word)

    @abstractmethod
    def endings(self, prefix: Prefix) -> np.ndarray:
        """The symbols that end the prefix and are not part of it, (V,) of bool."""

    @abstractmethod
    def extensions(self, prefix: Prefix) -> np.ndarray:
        """The symbols that may be part of what follows the prefix, (V,) of bool."""

    @abstractmethod
    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        """The prefix with one more symbol, and whether it ends there: then it is a whole continuation."""


class WordEnd(Boundary):
    """After a word."""

    def endings(self, prefix: Prefix) -> np.ndarray:
        """Marks, spaces and END after a word, END after anything."""
        if prefix.pending or not prefix.text:
            return self._alphabet.nothing
        return self._alphabet.marks_and_end if prefix.begun else self._alphabet.end

    def extensions(self, prefix: Prefix) -> np.ndarray:
        """Letters; before the first of them anything."""
        if prefix.pending:
            return self._alphabet.followers
        return self._alphabet.words if prefix.begun else self._alphabet.anything

    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        """A mark of several bytes ends a word as one of a single byte does."""
        longer = self._alphabet.append(prefix, symbol)
        if longer.pending or (prefix.begun and not prefix.pending):
            return longer, False
        in_word = bool(_WORD.fullmatch(longer.text[len(prefix.text) :]))
        if prefix.begun and not in_word:
            return Prefix(prefix.text, True, prefix.size), True
        return Prefix(longer.text, in_word, longer.size), False


class LineEnd(Boundary):
    """Before the end of a line; the empty line is no continuation."""

    def endings(self, prefix: Prefix) -> np.ndarray:
        """The end of a line and END, once there is a text."""
        ends = prefix.text and not prefix.pending
        return self._alphabet.newline_and_end if ends else self._alphabet.nothing

    def extensions(self, prefix: Prefix) -> np.ndarray:
        """Anything in a line."""
        return self._alphabet.followers if prefix.pending else self._alphabet.in_line

    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        """Never ends by what is part of it."""
        return self._alphabet.append(prefix, symbol), False


class Length(Boundary):
    """After so many symbols, or at END.

    Args:
        vocabulary: what ids mean.
        symbols: how many; of bytes, how many characters.
    """

    def __init__(self, vocabulary: Vocabulary, symbols: int) -> None:
        super().__init__(vocabulary)
        self._symbols = symbols

    def endings(self, prefix: Prefix) -> np.ndarray:
        """END, once there is a text."""
        ends = prefix.text and not prefix.pending
        return self._alphabet.end if ends else self._alphabet.nothing

    def extensions(self, prefix: Prefix) -> np.ndarray:
        """Anything."""
        return self._alphabet.followers if prefix.pending else self._alphabet.anything

    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        """Ends with the last symbol."""
        longer = self._alphabet.append(prefix, symbol)
        return longer, longer.size == self._symbols


def boundary_of(vocabulary: Vocabulary, until: Until) -> Boundary:
    """The boundary of that name.

    Raises:
        InputError: there is none.
    """
    if until == "word":
        return WordEnd(vocabulary)
    if until == "line":
        return LineEnd(vocabulary)
    if isinstance(until, bool) or not isinstance(until, int) or until < 1:
        raise InputError(
            f"expected until to be word, line, or a number of symbols from 1 on, got {until!r}",
            hint="until=20 completes by 20 symbols",
        )
    return Length(vocabulary, until)


def unfinished(raw: bytes) -> bytes:
    """The bytes at the end of a text in UTF-8 that begin a character and do not end it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(raw[-3:] if len(raw) > 3 else raw)
    return decoder.getstate()[0]


class _Alphabet:
    """The symbols of a vocabulary by what they are, each set as (V,) of bool."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        size = len(vocabulary)
        self._is_bytes = vocabulary.kind == "bytes"
        self._texts = [
            vocabulary.decode_bytes([i]) if self._is_bytes else vocabulary.decode([i]) for i in range(size)
        ]
        self.nothing = np.zeros(size, bool)
        self.end = self._set(lambda i: i == END)
        special = {NULL, UNKNOWN, BEGIN, END}
        single = self._set(lambda i: i not in special and self._is_text(i))
        leads = self._set(lambda i: i not in special and self._is_byte(i, _LEADS))
        self.followers = self._set(lambda i: i not in special and self._is_byte(i, _FOLLOWERS))
        letters = self._set(lambda i: bool(single[i] and _WORD.fullmatch(self._text(i))))
        newline = self._set(lambda i: bool(single[i] and _NEWLINE.fullmatch(self._text(i))))
        self.anything = single | leads
        self.words = letters | leads
        self.marks_and_end = (single & ~letters) | self.end
        self.newline_and_end = newline | self.end
        self.in_line = self.anything & ~newline

    def append(self, prefix: Prefix, symbol: int) -> Prefix:
        """The prefix with one more symbol; what is not a character yet does not count, nor what cannot be."""
        if not self._is_bytes:
            return Prefix(prefix.text + self._texts[symbol], prefix.begun, prefix.size + 1)  # type: ignore[operator]
        raw = prefix.pending + self._texts[symbol]  # type: ignore[operator]
        try:
            return Prefix(prefix.text + raw.decode(), prefix.begun, prefix.size + 1)
        except UnicodeDecodeError:
            return Prefix(prefix.text, prefix.begun, prefix.size, raw)

    def beginning_with(self, word: str) -> list[int]:
        """The symbols whose texts begin with a word."""
        first, last = (bisect_left(self._sorted, (text,)) for text in (word, word + _LAST))
        return [symbol for _, symbol in self._sorted[first:last]]

    @cached_property
    def _sorted(self) -> list[tuple[str, int]]:
        """The symbols that may be part of a text, by their texts."""
        return sorted((self._text(i), i) for i in np.flatnonzero(self.anything).tolist())

    def _set(self, is_in: Callable[[int], bool]) -> np.ndarray:
        return np.fromiter(map(is_in, range(len(self._texts))), bool, len(self._texts))

    def _text(self, symbol: int) -> str:
        raw = self._texts[symbol]
        return raw if isinstance(raw, str) else raw.decode("latin-1")

    def _is_text(self, symbol: int) -> bool:
        return not self._is_bytes or self._text(symbol).isascii()

    def _is_byte(self, symbol: int, span: tuple[int, int]) -> bool:
        return self._is_bytes and span[0] <= ord(self._text(symbol)) < span[1]


@lru_cache(maxsize=16)
def _alphabet(vocabulary: Vocabulary) -> _Alphabet:
    """Made once for each of the last vocabularies."""
    return _Alphabet(vocabulary)
