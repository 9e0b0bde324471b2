"""Boundaries: where a continuation ends.

A continuation ends after a word (see `data.words`), at the end of a line, or after a number of symbols. A
continuation to the end of a word may begin with spaces and punctuation: "the" may be continued by "re" or
" world", and "the," by " and". It always contains a word or the rest of one, but not the symbol that ended
it.

In scripts without spaces, such as Chinese and Thai, nothing marks the end of a word. There a word also ends
where the model is in doubt: where no next character has a probability of `CERTAIN`. This depends only on the
text so far. So different continuations are mutually exclusive events, in all scripts, and whether they begin
within a word or after it.
"""

import codecs
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN, Vocabulary
from onward.data.words import continues_word, has_no_spaces, is_word
from onward.errors import InputError

Until: TypeAlias = Literal["word", "line"] | int
"""The end of a word, the end of a line, or a number of symbols (of characters, if the symbols are bytes)."""

CERTAIN = 0.5
"""The probability of a next character from which on a word without spaces goes on."""

_LAST_CHARACTER = chr(0x10FFFF)
_LEAD_BYTES, _CONTINUATION_BYTES = (
    (0xC2, 0xF5),
    (0x80, 0xC0),
)  # of UTF-8: the first, and the one after the last


class Prefix(NamedTuple):
    """An unfinished continuation.

    Attributes:
        text: its characters so far.
        has_word: whether it contains a word or the rest of one.
        size: number of its symbols, or of its characters if the symbols are bytes.
        pending: bytes at its end that do not form a whole character yet.
    """

    text: str = ""
    has_word: bool = False
    size: int = 0
    pending: bytes = b""


class Boundary(ABC):
    """Decides where continuations end. Special symbols are never part of one, because they have no text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._classes = _character_classes(vocabulary)

    def beginning_with(self, word: str) -> list[int]:
        """Returns the symbols whose text begins with `word`."""
        return self._classes.beginning_with(word)

    @abstractmethod
    def endings(self, prefix: Prefix) -> np.ndarray:
        """Returns which symbols end the prefix without being part of it, (V,) of bool."""

    @abstractmethod
    def extensions(self, prefix: Prefix) -> np.ndarray:
        """Returns which symbols may follow the prefix in a continuation, (V,) of bool."""

    @abstractmethod
    def ends_in_doubt(self, prefix: Prefix) -> bool:
        """Returns whether the prefix is a complete continuation if no next character is certain."""

    @abstractmethod
    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        """Returns the prefix with one more symbol, and whether it is now a complete continuation."""


class WordEnd(Boundary):
    """Ends a continuation after a word."""

    def endings(self, prefix: Prefix) -> np.ndarray:
        if prefix.pending or not prefix.text:
            return self._classes.none
        return self._classes.non_word_or_end if prefix.has_word else self._classes.end

    def extensions(self, prefix: Prefix) -> np.ndarray:
        if prefix.pending:
            return self._classes.continuation_bytes
        return self._classes.word if prefix.has_word else self._classes.text

    def ends_in_doubt(self, prefix: Prefix) -> bool:
        return prefix.has_word and not prefix.pending and has_no_spaces(prefix.text[-1])

    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        longer = self._classes.append(prefix, symbol)
        if longer.pending or (prefix.has_word and not prefix.pending):
            return longer, False
        added = longer.text[len(prefix.text) :]
        if prefix.has_word and not continues_word(added):  # only the last byte shows that it is punctuation
            return Prefix(prefix.text, True, prefix.size), True
        return Prefix(longer.text, prefix.has_word or is_word(added), longer.size), False


class LineEnd(Boundary):
    """Ends a continuation before the end of the line. An empty line is not a continuation."""

    def endings(self, prefix: Prefix) -> np.ndarray:
        ends = prefix.text and not prefix.pending
        return self._classes.newline_or_end if ends else self._classes.none

    def extensions(self, prefix: Prefix) -> np.ndarray:
        return self._classes.continuation_bytes if prefix.pending else self._classes.in_line

    def ends_in_doubt(self, prefix: Prefix) -> bool:
        return False

    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        return self._classes.append(prefix, symbol), False


class Length(Boundary):
    """Ends a continuation after a number of symbols, or at END.

    Args:
        vocabulary: vocabulary of the model.
        symbols: number of symbols, or of characters if the symbols are bytes.
    """

    def __init__(self, vocabulary: Vocabulary, symbols: int) -> None:
        super().__init__(vocabulary)
        self._symbols = symbols

    def endings(self, prefix: Prefix) -> np.ndarray:
        ends = prefix.text and not prefix.pending
        return self._classes.end if ends else self._classes.none

    def extensions(self, prefix: Prefix) -> np.ndarray:
        return self._classes.continuation_bytes if prefix.pending else self._classes.text

    def ends_in_doubt(self, prefix: Prefix) -> bool:
        return False

    def extended(self, prefix: Prefix, symbol: int) -> tuple[Prefix, bool]:
        longer = self._classes.append(prefix, symbol)
        return longer, longer.size == self._symbols


def boundary_of(vocabulary: Vocabulary, until: Until) -> Boundary:
    """Returns the boundary for `until`.

    Raises:
        InputError: `until` is not word, line or a positive number.
    """
    if until == "word":
        return WordEnd(vocabulary)
    if until == "line":
        return LineEnd(vocabulary)
    if isinstance(until, bool) or not isinstance(until, int) or until < 1:
        raise InputError(
            f"expected until to be word, line, or a number of symbols above 0, got {until!r}",
            hint="until=20 completes by 20 symbols",
        )
    return Length(vocabulary, until)


def incomplete_character(raw: bytes) -> bytes:
    """Returns the bytes at the end of a UTF-8 text that are the beginning of a character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(raw[-3:] if len(raw) > 3 else raw)
    return decoder.getstate()[0]


class _CharacterClasses:
    """The symbols of a vocabulary, classified by the characters that they consist of.

    Attributes:
        none, end: no symbol, and only END. Each class is (V,) of bool.
        text: symbols that have a text, and bytes that begin a character.
        word: symbols that continue a word, and bytes that begin a character.
        non_word_or_end: the other symbols with a text, and END.
        newline_or_end: the newline, the carriage return before it, and END.
        in_line: `text` without newlines and carriage returns.
        continuation_bytes: bytes that continue a character of several bytes.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        size = len(vocabulary)
        self._is_bytes = vocabulary.kind == "bytes"
        self._raw = [vocabulary.decode_bytes([i]) for i in range(size)] if self._is_bytes else []
        self._texts = [raw.decode("latin-1") for raw in self._raw] or [
            vocabulary.decode([i]) for i in range(size)
        ]
        special = np.isin(np.arange(size), (NULL, UNKNOWN, BEGIN, END))
        whole = self._where(lambda text: not self._is_bytes or text.isascii()) & ~special
        leads = self._where(lambda text: self._is_byte(text, _LEAD_BYTES)) & ~special
        word = whole & self._where(continues_word)
        newline = whole & self._where(lambda text: text in ("\n", "\r"))
        self.none = np.zeros(size, bool)
        self.end = np.arange(size) == END
        self.text = whole | leads
        self.word = word | leads
        self.non_word_or_end = (whole & ~word) | self.end
        self.newline_or_end = newline | self.end
        self.in_line = self.text & ~newline
        self.continuation_bytes = (
            self._where(lambda text: self._is_byte(text, _CONTINUATION_BYTES)) & ~special
        )

    def append(self, prefix: Prefix, symbol: int) -> Prefix:
        """Returns the prefix with one more symbol. Only whole characters increase its size."""
        if not self._is_bytes:
            return Prefix(prefix.text + self._texts[symbol], prefix.has_word, prefix.size + 1)
        raw = prefix.pending + self._raw[symbol]
        try:
            return Prefix(prefix.text + raw.decode(), prefix.has_word, prefix.size + 1)
        except UnicodeDecodeError:
            return Prefix(prefix.text, prefix.has_word, prefix.size, raw)

    def beginning_with(self, word: str) -> list[int]:
        """Returns the symbols whose text begins with `word`."""
        first, last = (bisect_left(self._sorted, (text,)) for text in (word, word + _LAST_CHARACTER))
        return [symbol for _, symbol in self._sorted[first:last]]

    @cached_property
    def _sorted(self) -> list[tuple[str, int]]:
        return sorted((self._texts[i], i) for i in np.flatnonzero(self.text).tolist())

    def _where(self, condition: Callable[[str], bool]) -> np.ndarray:
        return np.fromiter(map(condition, self._texts), bool, len(self._texts))

    def _is_byte(self, text: str, span: tuple[int, int]) -> bool:
        return self._is_bytes and len(text) == 1 and span[0] <= ord(text) < span[1]


@lru_cache(maxsize=16)
def _character_classes(vocabulary: Vocabulary) -> _CharacterClasses:
    return _CharacterClasses(vocabulary)
