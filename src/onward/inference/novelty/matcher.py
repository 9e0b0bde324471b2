"""Exact matches of at least k symbols between a text and documents that stream past.

1. The k-grams of the text are hashed and sorted; those of the documents are looked up among them.
2. A k-gram that follows the same symbol in both continues a match that has begun before; others begin one.
3. From there symbols are compared until they differ, so a collision of hashes finds nothing that is not so.

Memory: some eighty bytes for each symbol of the text, and a piece of a document at a time.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SYMBOL = np.uint32
"""The type of a symbol here; the three largest numbers are no symbols."""

NO_MATCH = 0xFFFF_FFFD
"""A symbol of a document that is not in the text."""

_BEFORE_TEXT, _BEFORE_DOCUMENT = 0xFFFF_FFFE, 0xFFFF_FFFF  # they differ, so nothing matches past a border
_FACTOR = 0x9E37_79B9_7F4A_7C15
_FILTER_BITS = 22
_PIECE = 1 << 19
_MOST_PAIRS = 1 << 17
_COMPARED, _MOST_COMPARED = 32, 1 << 22


class _Runs(NamedTuple):
    """Matches that go on at the end of what was read: places in the text, lengths so far, origins."""

    starts: np.ndarray
    lengths: np.ndarray
    origins: np.ndarray


_NO_RUNS = _Runs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.int64))


class Matcher:
    """A text that documents are compared with.

    Args:
        text: its symbols, (N,).
        minimum: k, the length from which a match counts, at least 1.
        newline: the symbol that ends a line.

    Attributes:
        longest: for each place of the text where a match begins that does not begin earlier, its length; of
            several the longest; 0 elsewhere. (N,)
        origins: of that match in the documents, the first of equals: number of the document from 0, number of
            symbols before it, number of lines before it. (N, 3)
    """

    def __init__(self, text: np.ndarray, *, minimum: int, newline: int) -> None:
        self.longest = np.zeros(len(text), np.int64)
        self.origins = np.zeros((len(text), 3), np.int64)
        self._k, self._newline = minimum, newline
        self._text = np.append(text.astype(SYMBOL), SYMBOL(_BEFORE_TEXT))
        self._powers = _Powers.of_length(max(len(text), _PIECE + minimum) + 2)
        self._sums = self._powers.sums(self._text)
        hashes = self._powers.hashes(self._sums[:-1], minimum)
        self._hashes, ranks = np.unique(hashes, return_inverse=True)
        before = np.append(SYMBOL(_BEFORE_TEXT), self._text[: max(0, len(hashes) - 1)])[: len(hashes)]
        keys = ranks.astype(np.uint64) << np.uint64(32) | before.astype(np.uint64)
        self._order = np.argsort(keys, kind="stable")  # (G,) places by gram, then by the symbol before
        self._keys = keys[self._order]
        self._bounds = np.searchsorted(
            self._keys, np.arange(len(self._hashes) + 1, dtype=np.uint64) << np.uint64(32)
        )
        self._filter = np.zeros(1 << _FILTER_BITS, bool)
        self._filter[_filter_index(self._hashes)] = True
        self._document = -1

    def begin_document(self) -> None:
        """What is read next is another document: no match goes on."""
        self._document += 1
        self._buffer = np.array([_BEFORE_DOCUMENT], SYMBOL)  # unfinished, after the symbol before it
        self._offset = self._line = 0  # symbols and lines before buffer[1]
        self._open = _NO_RUNS

    def read(self, symbols: np.ndarray) -> None:
        """Compares the next symbols (n,) of the document."""
        for start in range(0, len(symbols), _PIECE):
            self._read_piece(symbols[start : start + _PIECE].astype(SYMBOL))

    def _read_piece(self, symbols: np.ndarray) -> None:
        known = len(self._buffer)
        self._buffer = np.concatenate([self._buffer, symbols])
        self._lines = np.flatnonzero(self._buffer == self._newline)
        padded = np.append(self._buffer, SYMBOL(_BEFORE_DOCUMENT))
        self._continue(padded, known)
        self._buffer_sums = self._powers.sums(self._buffer)
        hashes = self._powers.hashes(self._buffer_sums, self._k)[1:]
        places = np.flatnonzero(self._filter[_filter_index(hashes)])
        for text, place in self._beginnings(hashes[places], places + 1):
            text, place = self._hopeful(text, place)  # noqa: PLW2901 - the same, fewer
            lengths = self._common(text, padded, place)
            self._take(text, lengths, self._origins(place), place + lengths)
        done = len(hashes)
        self._offset += done
        self._line += int(np.searchsorted(self._lines, done + 1)) - int(self._buffer[0] == self._newline)
        self._buffer = self._buffer[done:]

    def _beginnings(self, hashes: np.ndarray, places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places in the text and in the buffer of the same k-gram after different symbols."""
        ranks = np.minimum(np.searchsorted(self._hashes, hashes), max(0, len(self._hashes) - 1))
        same = self._hashes[ranks] == hashes if len(self._hashes) else np.zeros(len(hashes), bool)
        ranks, places = ranks[same], places[same]
        first, last = self._bounds[ranks], self._bounds[ranks + 1]
        keys = ranks.astype(np.uint64) << np.uint64(32) | self._buffer[places - 1].astype(np.uint64)
        begins = (last - first > 1) | (self._keys[first] != keys)  # most go on, and are soon told
        first, last, keys, places = first[begins], last[begins], keys[begins], places[begins]
        # of a gram's places in the text, those that follow another symbol: all but the middle
        left, right = (np.searchsorted(self._keys, keys, side=side) for side in ("left", "right"))
        starts, counts = np.concatenate([first, right]), np.concatenate([left - first, last - right])
        places = np.tile(places, 2)
        order = np.argsort(places, kind="stable")  # so that of equals the first is met first
        order = order[counts[order] > 0]
        starts, counts, places = starts[order], counts[order], places[order]
        sums = np.cumsum(counts)
        while len(counts):
            batch = max(1, int(np.searchsorted(sums, sums[0] - counts[0] + _MOST_PAIRS, side="right")))
            n = counts[:batch]
            within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
            yield self._order[np.repeat(starts[:batch], n) + within], np.repeat(places[:batch], n)
            starts, counts, places, sums = starts[batch:], counts[batch:], places[batch:], sums[batch:]

    def _hopeful(self, text: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those that may be longer than what is known, since the hashes of one symbol more are the same."""
        ahead = self.longest[text] + 1
        ours = (self._sums[text + ahead] - self._sums[text]) * self._powers.up[places]
        ends = np.minimum(places + ahead, len(self._buffer))
        theirs = (self._buffer_sums[ends] - self._buffer_sums[places]) * self._powers.up[text]
        hopeful = (ours == theirs) | (places + ahead > len(self._buffer))
        return text[hopeful], places[hopeful]

    def _common(self, text: np.ndarray, padded: np.ndarray, places: np.ndarray) -> np.ndarray:
        """How many symbols are the same from those places of the text and of the buffer on, (n,)."""
        lengths = np.zeros(len(text), np.int64)
        going, width = np.arange(len(text)), _COMPARED
        while len(going):
            ahead = lengths[going, None] + np.arange(width)
            ours = self._text[np.minimum(text[going, None] + ahead, len(self._text) - 1)]
            theirs = padded[np.minimum(places[going, None] + ahead, len(padded) - 1)]
            differ = ours != theirs
            same = np.where(differ.any(axis=1), differ.argmax(axis=1), width)
            lengths[going] += same
            going = going[same == width]
            width = min(2 * width, max(_COMPARED, _MOST_COMPARED // max(1, len(going))))
        return lengths

    def _continue(self, padded: np.ndarray, known: int) -> None:
        """Follows the matches that reached the end of the buffer as it was."""
        (starts, lengths, origins), self._open = self._open, _NO_RUNS
        if len(starts):
            more = self._common(starts + lengths, padded, np.full(len(starts), known))
            self._take(starts, lengths + more, origins, known + more)

    def _take(self, starts: np.ndarray, lengths: np.ndarray, origins: np.ndarray, ends: np.ndarray) -> None:
        """Keeps the longest match of each place, and those that may go on; `ends` are in the buffer."""
        on = (ends == len(self._buffer)) & (starts + lengths < len(self._text) - 1)
        self._open = _Runs(
            np.append(self._open.starts, starts[on]),
            np.append(self._open.lengths, lengths[on]),
            np.concatenate([self._open.origins, origins[on]]),
        )
        better = (lengths >= self._k) & (lengths > self.longest[starts])
        starts, lengths, origins = starts[better], lengths[better], origins[better]
        worst_first = np.lexsort((-origins[:, 1], lengths))  # so that the best is what stays
        self.longest[starts[worst_first]] = lengths[worst_first]
        self.origins[starts[worst_first]] = origins[worst_first]

    def _origins(self, places: np.ndarray) -> np.ndarray:
        """Document, symbols before and lines before, (n, 3), of places in the buffer."""
        before = int(self._buffer[0] == self._newline)  # which is counted already
        lines = self._line + np.searchsorted(self._lines, places) - before
        return np.stack([np.full(len(places), self._document), self._offset + places - 1, lines], axis=1)


class _Powers(NamedTuple):
    """Powers of an odd factor modulo 2^64, and their inverses."""

    up: np.ndarray
    down: np.ndarray

    @classmethod
    def of_length(cls, count: int) -> "_Powers":
        """The first ones."""
        factors = np.full((2, count), _FACTOR, np.uint64)
        factors[1] = pow(_FACTOR, -1, 1 << 64)
        factors[:, 0] = 1
        return cls(*np.cumprod(factors, axis=1, dtype=np.uint64))

    def sums(self, symbols: np.ndarray) -> np.ndarray:
        """The polynomial hash of all symbols before each place, (n + 1,)."""
        return np.append(np.uint64(0), np.cumsum(symbols * self.up[: len(symbols)], dtype=np.uint64))

    def hashes(self, sums: np.ndarray, k: int) -> np.ndarray:
        """The hash of each run of k symbols, wherever it stands, (n - k + 1,)."""
        count = max(0, len(sums) - k)
        return (sums[k:] - sums[:count]) * self.down[:count] * np.uint64(_FACTOR)


def _filter_index(hashes: np.ndarray) -> np.ndarray:
    """The place of each hash in the table that says which hashes there may be."""
    return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)
