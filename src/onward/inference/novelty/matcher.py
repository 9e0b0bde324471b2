"""Finds the longest matches between a text and documents, which are read piece by piece."""

from typing import NamedTuple

import numpy as np

from onward.inference.novelty.automaton import automaton_of

NO_MATCH = 0xFFFF_FFFD
"""The number for symbols of a document that do not occur in the text."""

PIECE = 1 << 18
"""Number of symbols of a document to compare at once."""


class MatchedSpans(NamedTuple):
    """The n runs of a text that occur in the documents and are not part of a longer one, in order.

    Attributes:
        starts: their positions in the text, (n,).
        lengths: their lengths, (n,).
        origins: where each occurs first: number of the document, position in it, and number of the line, each
            counted from 0, (n, 3).
    """

    starts: np.ndarray
    lengths: np.ndarray
    origins: np.ndarray


class Matcher:
    """Finds the matches between a text and documents.

    The time is linear in the length of the text and of the documents, whatever they contain.

    Args:
        text: symbols of the text, (N,).
        minimum: the minimum length of a match, at least 1.
        newline: the symbol that ends a line.
    """

    def __init__(self, text: np.ndarray, *, minimum: int, newline: int) -> None:
        self._text, self._minimum, self._newline = text, minimum, newline
        self._automaton = automaton_of(text, minimum=minimum, newline=newline)
        self._beginnings: list[tuple[int, int]] = []  # of each document: symbols and lines before it
        self._symbols = self._lines = 0

    def begin_document(self) -> None:
        """Begins the next document. Matches do not continue from one document to the next."""
        self._automaton.begin_document()
        self._beginnings.append((self._symbols, self._lines))

    def read(self, symbols: np.ndarray) -> None:
        """Compares the next symbols (n,) of the document."""
        for start in range(0, len(symbols), PIECE):
            self._automaton.read(symbols[start : start + PIECE])
        self._symbols += len(symbols)
        self._lines += int(np.count_nonzero(symbols == self._newline))

    def finish(self) -> MatchedSpans:
        """Returns the spans of the text that occur in the documents."""
        lengths, ends, lines = self._automaton.finish()
        lengths = np.where(lengths < self._minimum, 0, lengths).astype(np.int64)
        goes_on = np.append(lengths[1:] == lengths[:-1] + 1, False)
        last = np.flatnonzero((lengths > 0) & ~goes_on)
        lengths = lengths[last]
        starts = last + 1 - lengths
        newlines = np.append(0, np.cumsum(self._text == self._newline))
        begins = np.stack([ends[last] - lengths, lines[last] - newlines[last + 1] + newlines[starts]], axis=1)
        beginnings = np.array(self._beginnings, np.int64).reshape(-1, 2)
        documents = np.searchsorted(beginnings[:, 0], begins[:, 0], side="right") - 1
        return MatchedSpans(
            starts, lengths, np.column_stack([documents, begins - beginnings[documents]]).astype(np.int64)
        )
