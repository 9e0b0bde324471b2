"""Finds exact matches of at least k symbols between a text and documents, which are read piece by piece.

1. The k-grams of the text are hashed and sorted. The k-grams of a document are looked up among them.
2. A match begins at a k-gram that occurs in both, if the symbols before it differ. If these are equal, the
   k-gram is part of a match that began earlier.
3. From there on, the symbols themselves are compared until they differ. So hash collisions give no false
   matches.

Memory: about eighty bytes for each symbol of the text, and one piece of a document.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SYMBOL = np.uint32
"""Type of symbols. The three largest numbers are not symbols."""

NO_MATCH = 0xFFFF_FFFD
"""The number for symbols of a document that do not occur in the text."""

_BEFORE_TEXT, _BEFORE_DOCUMENT = 0xFFFF_FFFE, 0xFFFF_FFFF  # different, so no match crosses a border
_FACTOR = 0x9E37_79B9_7F4A_7C15
_FILTER_BITS = 22
_PIECE = 1 << 19
_MOST_PAIRS = 1 << 17
_COMPARED, _MOST_COMPARED = 32, 1 << 22


class _OpenMatches(NamedTuple):
    """Matches that reach the end of the part of the document that was read.

    Attributes:
        starts: positions in the text, (n,).
        lengths: lengths so far, (n,).
        origins: origins in the documents (see `Matcher`), (n, 3).
    """

    starts: np.ndarray
    lengths: np.ndarray
    origins: np.ndarray


_NO_MATCHES = _OpenMatches(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.int64))


class Matcher:
    """Finds the matches between a text and documents.

    Args:
        text: symbols of the text, (N,).
        minimum: k, the minimum length of a match, at least 1.
        newline: the symbol that ends a line.

    Attributes:
        longest: length of the longest match that begins at each position of the text, (N,); 0 if no match
            begins there.
        origins: where this match occurs first in the documents, (N, 3): number of the document, position in
            the document, and number of the line, each counted from 0.
    """

    def __init__(self, text: np.ndarray, *, minimum: int, newline: int) -> None:
        self.longest = np.zeros(len(text), np.int64)
        self.origins = np.zeros((len(text), 3), np.int64)
        self._text = _TextIndex(text, minimum)
        self._document = _DocumentTail(-1, newline)
        self._open = _NO_MATCHES

    def begin_document(self) -> None:
        """Begins the next document. Matches do not continue from one document to the next."""
        self._document = _DocumentTail(self._document.number + 1, self._document.newline)
        self._open = _NO_MATCHES

    def read(self, symbols: np.ndarray) -> None:
        """Compares the next symbols (n,) of the document."""
        for start in range(0, len(symbols), _PIECE):
            self._read_piece(symbols[start : start + _PIECE].astype(SYMBOL))

    def _read_piece(self, symbols: np.ndarray) -> None:
        text, document = self._text, self._document
        known = len(document.buffer)
        document.append(symbols, text.hashing)
        self._continue(known)
        hashes = text.hashing.windows(document.sums, text.minimum)[1:]
        places = text.candidates(hashes)
        for starts, at in text.beginnings(hashes[places], places + 1, document.buffer[places]):
            starts, at = self._longer(starts, at)  # noqa: PLW2901 - a subset of them
            lengths = text.common_length(starts, document.padded, at)
            self._add(starts, lengths, document.origins(at), at + lengths)
        document.drop(len(hashes))

    def _longer(self, starts: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the matches that may be longer than the longest known match at the same position.

        These are the matches whose hashes agree for one symbol more than the known match has.

        Args:
            starts: positions in the text, (n,).
            places: positions in the buffer of the document, (n,).
        """
        text, document, powers = self._text, self._document, self._text.hashing.powers
        ahead = self.longest[starts] + 1
        ours = (text.sums[starts + ahead] - text.sums[starts]) * powers[places]
        ends = np.minimum(places + ahead, len(document.buffer))
        theirs = (document.sums[ends] - document.sums[places]) * powers[starts]
        longer = (ours == theirs) | (places + ahead > len(document.buffer))
        return starts[longer], places[longer]

    def _continue(self, known: int) -> None:
        """Extends the matches that reached the end of the buffer when it had `known` symbols."""
        (starts, lengths, origins), self._open = self._open, _NO_MATCHES
        if len(starts):
            places = np.full(len(starts), known)
            more = self._text.common_length(starts + lengths, self._document.padded, places)
            self._add(starts, lengths + more, origins, known + more)

    def _add(self, starts: np.ndarray, lengths: np.ndarray, origins: np.ndarray, ends: np.ndarray) -> None:
        """Keeps the longest match at each position, and the matches that may continue.

        Args:
            starts: positions of the matches in the text, (n,).
            lengths: lengths of the matches, (n,).
            origins: origins of the matches in the documents, (n, 3).
            ends: ends of the matches in the buffer, (n,).
        """
        is_open = (ends == len(self._document.buffer)) & (starts + lengths < len(self.longest))
        self._open = _OpenMatches(
            np.append(self._open.starts, starts[is_open]),
            np.append(self._open.lengths, lengths[is_open]),
            np.concatenate([self._open.origins, origins[is_open]]),
        )
        better = (lengths >= self._text.minimum) & (lengths > self.longest[starts])
        starts, lengths, origins = starts[better], lengths[better], origins[better]
        worst_first = np.lexsort((-origins[:, 1], lengths))  # the last assignment wins below
        self.longest[starts[worst_first]] = lengths[worst_first]
        self.origins[starts[worst_first]] = origins[worst_first]


class _TextIndex:
    """The k-grams of a text, sorted by their hash and by the symbol before them.

    Args:
        text: its symbols, (N,).
        minimum: k.

    Attributes:
        minimum: as given.
        hashing: hash function of k-grams.
        sums: prefix sums of the text, for `hashing`, (N + 2,).
    """

    def __init__(self, text: np.ndarray, minimum: int) -> None:
        self.minimum = minimum
        self.hashing = _PolynomialHash(max(len(text), _PIECE + minimum) + 2)
        self._symbols = np.append(text.astype(SYMBOL), SYMBOL(_BEFORE_TEXT))
        self.sums = self.hashing.sums(self._symbols)
        hashes = self.hashing.windows(self.sums[:-1], minimum)
        self._hashes, ranks = np.unique(hashes, return_inverse=True)
        before = np.append(SYMBOL(_BEFORE_TEXT), self._symbols[: max(0, len(hashes) - 1)])[: len(hashes)]
        keys = _sort_keys(ranks, before)
        self._order = np.argsort(keys, kind="stable")  # positions of the k-grams, (G,)
        self._keys = keys[self._order]
        self._bounds = np.searchsorted(
            self._keys, np.arange(len(self._hashes) + 1, dtype=np.uint64) << np.uint64(32)
        )
        self._filter = np.zeros(1 << _FILTER_BITS, bool)
        self._filter[_filter_index(self._hashes)] = True

    def candidates(self, hashes: np.ndarray) -> np.ndarray:
        """Returns the positions of hashes that may be in the index; all others are certainly not."""
        return np.flatnonzero(self._filter[_filter_index(hashes)])

    def beginnings(
        self, hashes: np.ndarray, places: np.ndarray, before: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields where matches begin: positions in the text and in the document, in the document's order.

        Args:
            hashes: hashes of k-grams of the document, (n,).
            places: positions of these k-grams in the document, (n,).
            before: the symbol before each of them, (n,).
        """
        ranks = np.minimum(np.searchsorted(self._hashes, hashes), max(0, len(self._hashes) - 1))
        same = self._hashes[ranks] == hashes if len(self._hashes) else np.zeros(len(hashes), bool)
        ranks, places, keys = ranks[same], places[same], _sort_keys(ranks[same], before[same])
        first, last = self._bounds[ranks], self._bounds[ranks + 1]
        begins = (last - first > 1) | (self._keys[first] != keys)  # most k-grams continue a match
        first, last, keys, places = first[begins], last[begins], keys[begins], places[begins]
        # In the text, use the occurrences after a different symbol: all but a range in the middle.
        left, right = (np.searchsorted(self._keys, keys, side=side) for side in ("left", "right"))
        starts, counts = np.concatenate([first, right]), np.concatenate([left - first, last - right])
        places = np.tile(places, 2)
        order = np.argsort(places, kind="stable")  # the first of equal matches comes first
        order = order[counts[order] > 0]
        starts, counts, places = starts[order], counts[order], places[order]
        sums = np.cumsum(counts)
        while len(counts):
            batch = max(1, int(np.searchsorted(sums, sums[0] - counts[0] + _MOST_PAIRS, side="right")))
            n = counts[:batch]
            within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
            yield self._order[np.repeat(starts[:batch], n) + within], np.repeat(places[:batch], n)
            starts, counts, places, sums = starts[batch:], counts[batch:], places[batch:], sums[batch:]

    def common_length(self, starts: np.ndarray, document: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Returns the number of equal symbols from positions in the text and in a document on, (n,).

        Args:
            starts: positions in the text, (n,).
            document: symbols of the document, followed by a symbol that never matches.
            places: positions in the document, (n,).
        """
        lengths = np.zeros(len(starts), np.int64)
        active, width = np.arange(len(starts)), _COMPARED
        while len(active):
            ahead = lengths[active, None] + np.arange(width)
            ours = self._symbols[np.minimum(starts[active, None] + ahead, len(self._symbols) - 1)]
            theirs = document[np.minimum(places[active, None] + ahead, len(document) - 1)]
            differ = ours != theirs
            same = np.where(differ.any(axis=1), differ.argmax(axis=1), width)
            lengths[active] += same
            active = active[same == width]
            width = min(2 * width, max(_COMPARED, _MOST_COMPARED // max(1, len(active))))
        return lengths


class _DocumentTail:
    """The end of a document that is read piece by piece.

    Args:
        number: of the document, from 0.
        newline: the symbol that ends a line.

    Attributes:
        number, newline: as given.
        buffer: the symbols that can still be part of a new k-gram, preceded by one more symbol.
        padded: the buffer, followed by a symbol that never matches.
        sums: prefix sums of the buffer.
    """

    def __init__(self, number: int, newline: int) -> None:
        self.number, self.newline = number, newline
        self.buffer = self.padded = np.array([_BEFORE_DOCUMENT], SYMBOL)
        self.sums = self._newlines = np.zeros(0, np.uint64)
        self._offset = self._line = 0  # symbols and lines before buffer[1]

    def append(self, symbols: np.ndarray, hashing: "_PolynomialHash") -> None:
        """Adds symbols (n,) to the buffer."""
        self.buffer = np.concatenate([self.buffer, symbols])
        self.padded = np.append(self.buffer, SYMBOL(_BEFORE_DOCUMENT))
        self.sums = hashing.sums(self.buffer)
        self._newlines = np.flatnonzero(self.buffer == self.newline)

    def drop(self, symbols: int) -> None:
        """Removes symbols from the beginning of the buffer."""
        self._offset += symbols
        self._line += int(np.searchsorted(self._newlines, symbols + 1)) - self._starts_with_newline
        self.buffer = self.buffer[symbols:]

    def origins(self, places: np.ndarray) -> np.ndarray:
        """Returns document, position and line for positions in the buffer, (n, 3)."""
        lines = self._line + np.searchsorted(self._newlines, places) - self._starts_with_newline
        return np.stack([np.full(len(places), self.number), self._offset + places - 1, lines], axis=1)

    @property
    def _starts_with_newline(self) -> int:
        """1 if buffer[0], which `_line` has counted, is a newline."""
        return int(self.buffer[0] == self.newline)


class _PolynomialHash:
    """A hash of k symbols that can be computed from prefix sums.

    Args:
        size: maximum number of symbols.

    Attributes:
        powers: the powers of an odd factor, modulo 2^64.
    """

    def __init__(self, size: int) -> None:
        factors = np.full((2, size), _FACTOR, np.uint64)
        factors[1] = pow(_FACTOR, -1, 1 << 64)
        factors[:, 0] = 1
        self.powers, self._inverses = np.cumprod(factors, axis=1, dtype=np.uint64)

    def sums(self, symbols: np.ndarray) -> np.ndarray:
        """Returns the hash of all symbols before each position, (n + 1,)."""
        return np.append(np.uint64(0), np.cumsum(symbols * self.powers[: len(symbols)], dtype=np.uint64))

    def windows(self, sums: np.ndarray, k: int) -> np.ndarray:
        """Returns the hash of each run of k symbols, (n - k + 1,). Equal runs have equal hashes."""
        count = max(0, len(sums) - k)
        return (sums[k:] - sums[:count]) * self._inverses[:count] * np.uint64(_FACTOR)


def _sort_keys(ranks: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns numbers that sort k-grams by their rank, then by the symbol before them."""
    return ranks.astype(np.uint64) << np.uint64(32) | before.astype(np.uint64)


def _filter_index(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)
