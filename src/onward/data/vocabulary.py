"""Symbols and their ids.

Every vocabulary begins with the same four ids, holds every possible input, and is a value: two
vocabularies with the same symbols are equal.

    0 NULL      the character NUL, and padding (the "\\0" of the lesson)
    1 UNKNOWN   U+FFFD, and every symbol that the vocabulary does not have
    2 BEGIN     what stands before the first symbol of a stream
    3 END       what ends a document

Bytes need no unknown symbol: their vocabulary has all 256, of which NUL is also byte 0.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, Literal, SupportsIndex, TypeAlias, cast, get_args

import numpy as np

from onward.errors import VocabularyError

NULL, UNKNOWN, BEGIN, END = range(4)
SPECIAL = ("<null>", "<unknown>", "<begin>", "<end>")
SymbolKind = Literal["characters", "bytes", "words"]
Ids: TypeAlias = np.ndarray | Sequence[SupportsIndex]
"""Whole numbers, (N,)."""

LONGEST_WORD = 256
"""Characters; a longer run of them is several words, so that what has no spaces fits into memory."""

REPLACEMENT = "\ufffd"
"""What Unicode has for a character that is not known."""

_WORDS = re.compile(rf"\w{{1,{LONGEST_WORD}}}|\W")


class Vocabulary:
    """The symbols of one kind that a model knows, in the order of their ids.

    Attributes:
        kind: what one symbol is. Words are runs of letters, digits and underscores, cut after
            `LONGEST_WORD`; every other character is a symbol of its own, so that a text is the sum of its
            symbols.
        lower: whether text is lower-cased before it is encoded.
        symbols: those from id 4 on; for bytes all but NUL, as characters of Latin-1.
    """

    def __init__(self, kind: SymbolKind, symbols: Iterable[str], *, lower: bool = False) -> None:
        self.kind: SymbolKind = kind
        self.lower = lower
        self.symbols = tuple(symbols)
        _check(self)

    @classmethod
    def of_bytes(cls, *, lower: bool = False) -> "Vocabulary":
        """All bytes."""
        return cls("bytes", (chr(byte) for byte in range(1, 256)), lower=lower)

    @classmethod
    def of_text(cls, text: str, kind: SymbolKind, *, lower: bool = False, min_count: int = 1) -> "Vocabulary":
        """The symbols that occur in a text at least `min_count` times, sorted by code point."""
        if kind == "bytes":
            return cls.of_bytes(lower=lower)
        counts: dict[str, int] = {}
        for symbol in split(lower_case(text) if lower else text, kind):
            counts[symbol] = counts.get(symbol, 0) + 1
        return cls.of_counts(counts, kind, lower=lower, min_count=min_count)

    @classmethod
    def of_counts(
        cls, counts: dict[str, int], kind: SymbolKind, *, lower: bool = False, min_count: int = 1
    ) -> "Vocabulary":
        """The symbols with at least `min_count` occurrences, sorted by code point."""
        kept = (s for s, n in counts.items() if n >= min_count and s not in ("\0", REPLACEMENT))
        return cls(kind, sorted(kept), lower=lower)

    def __len__(self) -> int:
        """V: the four special ids and the symbols."""
        return len(SPECIAL) + len(self.symbols)

    def __eq__(self, other: object) -> bool:
        """Whether both give every text the same ids."""
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        """Of the kind and the symbols."""
        return hash((self.kind, self.lower, self.symbols))

    def __repr__(self) -> str:
        """Kind and size."""
        return f"Vocabulary({self.kind!r}, {len(self)} symbols{', lower-cased' if self.lower else ''})"

    @cached_property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(len(self) - 1)

    def encode(self, text: str | bytes) -> np.ndarray:
        """The ids of a text, (N,) of `dtype`. Takes any content: what is not known is UNKNOWN.

        Args:
            text: for a vocabulary of bytes a `str` stands for its UTF-8 and only ASCII is lower-cased; for
                the others `bytes` are read as UTF-8, each invalid byte as U+FFFD.
        """
        if self.kind == "bytes":
            raw = as_bytes(text)
            return self._table[np.frombuffer(raw.lower() if self.lower else raw, np.uint8)]
        text = lower_case(as_text(text)) if self.lower else as_text(text)
        if self.kind == "words":
            words = _WORDS.findall(text)
            return np.fromiter(map(self._ids.get, words, repeat(UNKNOWN)), self.dtype, len(words))
        points = code_points(text)
        return self._table[points if points.dtype == np.uint8 else np.minimum(points, len(self._table) - 1)]

    def decode(self, ids: Ids) -> str:
        """The text of ids: NUL for null, U+FFFD for unknown, nothing for begin and end.

        Raises:
            VocabularyError: an id that the vocabulary does not have.
        """
        if self.kind == "bytes":
            return self.decode_bytes(ids).decode("utf-8", "replace")
        return "".join(self._texts[i] for i in self._checked(ids))

    def decode_bytes(self, ids: Ids) -> bytes:
        """The bytes of ids; those of a vocabulary of characters or words are the UTF-8 of their text."""
        if self.kind != "bytes":
            return as_bytes(self.decode(ids))
        return "".join(self._texts[i] for i in self._checked(ids)).encode("latin-1", "replace")

    def decoder(self) -> "StreamDecoder":
        """A decoder for ids that arrive a few at a time."""
        return StreamDecoder(self)

    def symbol(self, index: int) -> str:
        r"""The printable name of an id: "<end>", "e", "\n" as two characters, "0x8f" for a byte beyond ASCII.

        Raises:
            VocabularyError: an id that the vocabulary does not have.
        """
        (index,) = self._checked([index])
        if index < len(SPECIAL):
            return SPECIAL[index]
        name = self.symbols[index - len(SPECIAL)]
        if self.kind == "bytes" and not name.isascii():
            return f"0x{ord(name):02x}"
        return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as plain values; `from_json` undoes it."""
        symbols = None if self.kind == "bytes" else list(self.symbols)
        return {"kind": self.kind, "lower": self.lower, "symbols": symbols}

    @classmethod
    def from_json(cls, data: Any) -> "Vocabulary":
        """The vocabulary that `to_json` wrote.

        Raises:
            VocabularyError: anything else.
        """
        if not isinstance(data, dict) or set(data) != {"kind", "lower", "symbols"}:
            raise VocabularyError(f"expected a vocabulary: kind, lower and symbols, got {str(data)[:80]}")
        kind, lower, symbols = data["kind"], data["lower"], data["symbols"]
        if not isinstance(lower, bool) or kind not in get_args(SymbolKind):
            raise VocabularyError(f"expected a kind of symbol and true or false, got {kind!r} and {lower!r}")
        if kind == "bytes" and symbols is None:
            return cls.of_bytes(lower=lower)
        if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
            raise VocabularyError("the symbols of a vocabulary are a list of texts")
        return cls(kind, symbols, lower=lower)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the vocabulary, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        """What each id decodes to."""
        return ("\0", "?" if self.kind == "bytes" else REPLACEMENT, "", "", *self.symbols)

    @cached_property
    def _ids(self) -> dict[str, int]:
        """The id of each symbol."""
        return {"\0": NULL} | {symbol: i for i, symbol in enumerate(self.symbols, len(SPECIAL))}

    @cached_property
    def _table(self) -> np.ndarray:
        """The id of each code point, that of every byte at least; the last entry is that of all beyond."""
        table = np.full(max(255, *map(ord, self.symbols), 0) + 2, UNKNOWN, self.dtype)
        for symbol, i in self._ids.items():
            table[ord(symbol)] = i
        return table

    def _checked(self, ids: Ids) -> list[int]:
        """The ids as whole numbers within the vocabulary."""
        few = cast("list[int]", ids)
        if isinstance(ids, list) and set(map(type, ids)) == {int} and min(few) >= 0 and max(few) < len(self):
            return few  # a few are checked in less time than it takes to make an array of them
        array = np.asarray(ids)
        if array.size and (array.dtype.kind not in "ui" or array.min() < 0 or array.max() >= len(self)):
            raise VocabularyError(f"expected ids from 0 to {len(self) - 1}, got {array[:8].tolist()} ...")
        return array.tolist()


class StreamDecoder:
    """Text of ids that arrive a few at a time; bytes are held back until they make a character."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Ids) -> str:
        """The text that these ids complete.

        Raises:
            VocabularyError: an id that the vocabulary does not have.
        """
        if self._vocabulary.kind != "bytes":
            return self._vocabulary.decode(ids)
        return self._utf8.decode(self._vocabulary.decode_bytes(ids))

    def finish(self) -> str:
        """The text of bytes that were left without their end; the decoder then begins anew."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return rest


def lower_case(text: str) -> str:
    """A text in lower case, each character by itself, so that it may be cut anywhere.

    `str.lower` is that but for the capital sigma, which it writes in another way where a word ends.
    """
    return text.replace("\u03a3", "\u03c3").lower()


def split(text: str, kind: SymbolKind) -> Iterable[str]:
    """The symbols of a text, in order, whether or not a vocabulary has them."""
    return _WORDS.findall(text) if kind == "words" else text


def as_bytes(text: str | bytes) -> bytes:
    """A text as UTF-8; half a pair of surrogates, which UTF-8 does not have, as what it would be."""
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)


def as_text(text: str | bytes) -> str:
    """Bytes read as UTF-8, with U+FFFD for each that is invalid."""
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def code_points(text: str) -> np.ndarray:
    """The code point of each character, (N,), of the smallest type that the encoding gives for nothing."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _check(vocabulary: Vocabulary) -> None:
    """Refuses symbols that a vocabulary of that kind cannot have."""
    kind, symbols = vocabulary.kind, vocabulary.symbols
    if kind not in get_args(SymbolKind):
        raise VocabularyError(f"a kind of symbol is one of {', '.join(get_args(SymbolKind))}, got {kind!r}")
    if kind == "bytes" and symbols != tuple(chr(byte) for byte in range(1, 256)):
        raise VocabularyError("a vocabulary of bytes has all of them, in order")
    if len(set(symbols)) != len(symbols) or not {"", "\0", REPLACEMENT}.isdisjoint(symbols):
        raise VocabularyError("symbols are distinct, not empty, and neither NUL nor U+FFFD")
    if kind == "characters" and not all(len(symbol) == 1 for symbol in symbols):
        raise VocabularyError("each symbol of a vocabulary of characters is one character")
    if kind == "words" and not all(_WORDS.fullmatch(symbol) for symbol in symbols):
        raise VocabularyError("each symbol of a vocabulary of words is one word, or one other character")
