"""Symbols and their ids.

Every vocabulary can encode any input. All vocabularies start with the same four special ids:

    0 NULL      the character NUL, and padding (the "\\0" of the lesson)
    1 UNKNOWN   U+FFFD, and every symbol that is not in the vocabulary
    2 BEGIN     comes before the first symbol of a stream
    3 END       comes after the last symbol of a document

A vocabulary of bytes never encodes UNKNOWN: it has all 256 bytes, with NULL for byte 0.
"""

import codecs
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, Literal, SupportsIndex, TypeAlias, cast, get_args

import numpy as np

from onward.data.words import is_symbol, split_words
from onward.errors import VocabularyError
from onward.printable import printable, shown_value

NULL, UNKNOWN, BEGIN, END = range(4)
SPECIAL = ("<null>", "<unknown>", "<begin>", "<end>")
SymbolKind = Literal["characters", "bytes", "words"]
IdSequence: TypeAlias = np.ndarray | Sequence[SupportsIndex]
"""Ids of a text, (N,)."""

REPLACEMENT = "\ufffd"
"""Unicode's replacement character, which stands for unknown characters."""


class Vocabulary:
    """The symbols that a model knows, in the order of their ids.

    Attributes:
        kind: unit of text that is one symbol. A word (see `words`) has at most 256 characters;
            every other character is a symbol too, so a text is its symbols joined.
        lower: whether text is lower-cased before it is encoded.
        symbols: the symbols from id 4 on; for bytes, all bytes except NUL, as Latin-1 characters.
        marks: whether combining marks are part of words. They are not in models of onward 0.2 and earlier.
    """

    def __init__(
        self, kind: SymbolKind, symbols: Iterable[str], *, lower: bool = False, marks: bool = True
    ) -> None:
        self.kind: SymbolKind = kind
        self.lower, self.marks = lower, marks
        self.symbols = tuple(symbols)
        _check(self)

    @classmethod
    def of_bytes(cls, *, lower: bool = False) -> "Vocabulary":
        """Returns the vocabulary of all bytes."""
        return cls("bytes", (chr(byte) for byte in range(1, 256)), lower=lower)

    @classmethod
    def of_text(cls, text: str, kind: SymbolKind, *, lower: bool = False, min_count: int = 1) -> "Vocabulary":
        """Returns the vocabulary of a text: symbols that occur `min_count` times or more, by code point."""
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
        """Returns the vocabulary of symbols with at least `min_count` occurrences, sorted by code point."""
        kept = (s for s, n in counts.items() if n >= min_count and s not in ("\0", REPLACEMENT))
        return cls(kind, sorted(kept), lower=lower)

    def __len__(self) -> int:
        return len(SPECIAL) + len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.kind, self.lower, self.symbols))

    def __repr__(self) -> str:
        return f"Vocabulary({self.kind!r}, {len(self)} symbols{', lower-cased' if self.lower else ''})"

    @cached_property
    def dtype(self) -> np.dtype:
        """The smallest unsigned integer type that holds every id."""
        return np.min_scalar_type(len(self) - 1)

    def encode(self, text: str | bytes) -> np.ndarray:
        """Returns the ids of any text, (N,) of `dtype`; symbols outside the vocabulary become UNKNOWN.

        Args:
            text: a vocabulary of bytes encodes a `str` as UTF-8, and lower-cases only ASCII. Other
                vocabularies decode `bytes` as UTF-8, with U+FFFD for each invalid byte.
        """
        if self.kind == "bytes":
            raw = as_bytes(text)
            return self._table[np.frombuffer(raw.lower() if self.lower else raw, np.uint8)]
        text = lower_case(as_text(text)) if self.lower else as_text(text)
        if self.kind == "words":
            words = split_words(text, marks=self.marks)
            return np.fromiter(map(self._ids.get, words, repeat(UNKNOWN)), self.dtype, len(words))
        points = code_points(text)
        return self._table[points if points.dtype == np.uint8 else np.minimum(points, len(self._table) - 1)]

    def decode(self, ids: IdSequence) -> str:
        """Returns the text of ids: NUL for NULL, U+FFFD for UNKNOWN, nothing for BEGIN and END.

        Raises:
            VocabularyError: an id is not in the vocabulary.
        """
        if self.kind == "bytes":
            return self.decode_bytes(ids).decode("utf-8", "replace")
        return "".join(self._texts[i] for i in self._checked(ids))

    def decode_bytes(self, ids: IdSequence) -> bytes:
        """Returns the bytes of ids; for characters and words, the UTF-8 of their text."""
        if self.kind != "bytes":
            return as_bytes(self.decode(ids))
        return "".join(self._texts[i] for i in self._checked(ids)).encode("latin-1", "replace")

    def decoder(self) -> "StreamDecoder":
        """Returns a decoder for ids that arrive a few at a time."""
        return StreamDecoder(self)

    def symbol(self, index: int) -> str:
        r"""Returns the printable name of an id: "<end>", "e", "\n" as two characters, "0x8f" for a byte.

        Raises:
            VocabularyError: the id is not in the vocabulary.
        """
        (index,) = self._checked([index])
        if index < len(SPECIAL):
            return SPECIAL[index]
        name = self.symbols[index - len(SPECIAL)]
        if self.kind == "bytes" and not name.isascii():
            return f"0x{ord(name):02x}"
        return printable(name)

    def to_json(self) -> dict[str, Any]:
        """Returns the vocabulary as plain values, for `from_json`."""
        symbols = None if self.kind == "bytes" else list(self.symbols)
        marks = {"marks": True} if self.kind == "words" and self.marks else {}
        return {"kind": self.kind, "lower": self.lower, "symbols": symbols, **marks}

    @classmethod
    def from_json(cls, data: Any) -> "Vocabulary":
        """Returns the vocabulary from the values that `to_json` returned.

        Raises:
            VocabularyError: the data do not describe a vocabulary.
        """
        if not isinstance(data, dict) or set(data) - {"marks"} != {"kind", "lower", "symbols"}:
            raise VocabularyError(
                f"expected a vocabulary with kind, lower and symbols, got {shown_value(data)}"
            )
        kind, lower, symbols = data["kind"], data["lower"], data["symbols"]
        if "marks" in data and (data["marks"] is not True or kind != "words"):
            raise VocabularyError(
                f"expected marks to be true, for words alone, got {shown_value(data['marks'])}"
            )
        if not isinstance(lower, bool) or kind not in get_args(SymbolKind):
            got = f"{shown_value(kind)} and {shown_value(lower)}"
            raise VocabularyError(f"expected a kind of symbol, and true or false for lower, got {got}")
        if kind == "bytes" and symbols is None:
            return cls.of_bytes(lower=lower)
        if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
            raise VocabularyError(f"expected a list of texts as symbols, got {shown_value(symbols)}")
        return cls(kind, symbols, lower=lower, marks=kind != "words" or "marks" in data)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the vocabulary, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        """The text of each id."""
        return ("\0", "?" if self.kind == "bytes" else REPLACEMENT, "", "", *self.symbols)

    @cached_property
    def _ids(self) -> dict[str, int]:
        """The id of each symbol."""
        return {"\0": NULL} | {symbol: i for i, symbol in enumerate(self.symbols, len(SPECIAL))}

    @cached_property
    def _table(self) -> np.ndarray:
        """The id of each code point, for all bytes at least; the last entry is for all higher code points."""
        table = np.full(max(255, *map(ord, self.symbols), 0) + 2, UNKNOWN, self.dtype)
        for symbol, i in self._ids.items():
            table[ord(symbol)] = i
        return table

    def _checked(self, ids: IdSequence) -> list[int]:
        """Returns the ids as Python numbers, or raises VocabularyError."""
        few = cast("list[int]", ids)
        if isinstance(ids, list) and set(map(type, ids)) == {int} and min(few) >= 0 and max(few) < len(self):
            return few  # faster than an array for a few ids
        array = np.asarray(ids)
        if array.size and (array.dtype.kind not in "ui" or array.min() < 0 or array.max() >= len(self)):
            raise VocabularyError(f"expected ids from 0 to {len(self) - 1}, got {array[:8].tolist()} ...")
        return array.tolist()


class StreamDecoder:
    """Decodes ids that arrive a few at a time. Bytes wait until their character is complete."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: IdSequence) -> str:
        """Returns the text that these ids complete.

        Raises:
            VocabularyError: an id is not in the vocabulary.
        """
        if self._vocabulary.kind != "bytes":
            return self._vocabulary.decode(ids)
        return self._utf8.decode(self._vocabulary.decode_bytes(ids))

    def finish(self) -> str:
        """Returns the text of an incomplete last character, and resets the decoder."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return rest


def lower_case(text: str) -> str:
    """Lower-cases each character by itself, so that a text may be cut anywhere.

    `str.lower` does the same, except that it maps a capital sigma at the end of a word to another letter.
    """
    return text.replace("\u03a3", "\u03c3").lower()


def split(text: str, kind: SymbolKind) -> Iterable[str]:
    """Returns the symbols of a text in order."""
    return split_words(text) if kind == "words" else text


def as_bytes(text: str | bytes) -> bytes:
    """Encodes a text as UTF-8. Lone surrogates are encoded too, although UTF-8 forbids them."""
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)


def as_text(text: str | bytes) -> str:
    """Decodes bytes as UTF-8, with U+FFFD for each invalid byte."""
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def code_points(text: str) -> np.ndarray:
    """Returns the code point of each character, (N,), in uint8 for ASCII, else in uint32."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _check(vocabulary: Vocabulary) -> None:
    """Raises VocabularyError for symbols that a vocabulary of that kind cannot have."""
    kind, symbols = vocabulary.kind, vocabulary.symbols
    if kind not in get_args(SymbolKind):
        raise VocabularyError(f"expected a kind of symbol: {', '.join(get_args(SymbolKind))}, got {kind!r}")
    if kind == "bytes" and symbols != tuple(chr(byte) for byte in range(1, 256)):
        raise VocabularyError("a vocabulary of bytes must have all bytes in order")
    if len(set(symbols)) != len(symbols) or not {"", "\0", REPLACEMENT}.isdisjoint(symbols):
        raise VocabularyError("symbols must be distinct, not empty, and neither NUL nor U+FFFD")
    if kind == "characters" and not all(len(symbol) == 1 for symbol in symbols):
        raise VocabularyError("each symbol of a vocabulary of characters must be one character")
    if kind == "words" and not all(is_symbol(symbol, marks=vocabulary.marks) for symbol in symbols):
        raise VocabularyError("each symbol of a vocabulary of words must be one word or one other character")
