"""Scoring: the surprise of a symbol is -log of the probability it was given before it was read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from onward.data.symbols import Symbols
from onward.data.vocabulary import UNKNOWN, Vocabulary
from onward.inference.scoring.protocol import Protocol, surprises
from onward.inference.session import Session
from onward.inference.text_source import Source, opened
from onward.model import LanguageModel
from onward.precision import Precision
from onward.units import nats_to_bits

_PIECE = 1024

Progress = Callable[[int, int], None]
"""Called with the symbols scored so far and the symbols to score."""


@dataclass(frozen=True)
class Score:
    """How surprising a text was.

    Attributes:
        symbols: how many were scored.
        nats: the sum of their surprises.
        protocol: how the text was read, `streaming`, `adaptive` or `cold-256`.
        lanes: parts of it that were read side by side; 1 is one pass.
        precision: of the matrix products.
        unknown: symbols among them that the vocabulary does not have.
    """

    symbols: int
    nats: float
    protocol: str
    lanes: int = 1
    precision: Precision = "fp32"
    unknown: int = 0

    @property
    def nats_per_symbol(self) -> float:
        """The mean."""
        return self.nats / self.symbols

    @property
    def bits_per_symbol(self) -> float:
        """The mean, in bits."""
        return nats_to_bits(self.nats_per_symbol)

    def to_json(self) -> dict[str, Any]:
        """The score as plain values."""
        return {
            "symbols": self.symbols,
            "nats": self.nats,
            "nats_per_symbol": self.nats_per_symbol,
            "bits_per_symbol": self.bits_per_symbol,
            "protocol": self.protocol,
            "lanes": self.lanes,
            "precision": self.precision,
            "unknown": self.unknown,
        }


class LineScore(NamedTuple):
    """One line: its number from 1, its symbols with the end of the line, their nats in all, its text."""

    line: int
    symbols: int
    nats: float
    text: str


class SymbolScore(NamedTuple):
    """One symbol: its number from 0, its printable name, its nats."""

    position: int
    symbol: str
    nats: float


def score(
    model: LanguageModel,
    vocabulary: Vocabulary,
    source: Source,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> Score:
    """The score of a text, in constant memory.

    Raises:
        CorpusError: there is no text in the source, or it cannot be read.
        VocabularyError: ids that the vocabulary does not have.
    """
    protocol = protocol or Protocol()
    with opened(source, vocabulary) as text:
        reading = protocol.reading(model, len(text.ids))
        nats, symbols, unknown = 0.0, 0, 0
        for part in _nats(model, vocabulary, text.ids, protocol):
            nats += float(part.sum(dtype=np.float64))
            unknown += int((np.asarray(text.ids[symbols : symbols + len(part)]) == UNKNOWN).sum())
            symbols += len(part)
            if progress:
                progress(symbols, len(text.ids))
    return Score(symbols, nats, protocol.name, reading.lanes, reading.precision, unknown)


def score_lines(
    model: LanguageModel, vocabulary: Vocabulary, source: Source, protocol: Protocol | None = None
) -> Iterator[LineScore]:
    """The score of each line of a text, in order, as they are computed. Raises as `score`."""
    with opened(source, vocabulary) as text:
        nats = _Reader(_nats(model, vocabulary, text.ids, protocol or Protocol()))
        for number, line in enumerate(text.lines(), 1):
            yield LineScore(number, line.symbols, nats.sum_of(line.symbols), line.text)


def score_symbols(
    model: LanguageModel, vocabulary: Vocabulary, source: Source, protocol: Protocol | None = None
) -> Iterator[SymbolScore]:
    """The score of each symbol of a text, in order, as they are computed. Raises as `score`."""
    with opened(source, vocabulary) as text:
        position = 0
        for part in _nats(model, vocabulary, text.ids, protocol or Protocol()):
            ids = np.asarray(text.ids[position : position + len(part)]).tolist()
            for symbol, nats in zip(ids, part.tolist(), strict=True):
                yield SymbolScore(position, vocabulary.symbol(symbol), nats)
                position += 1


def _nats(
    model: LanguageModel, vocabulary: Vocabulary, ids: Symbols, protocol: Protocol
) -> Iterator[np.ndarray]:
    """The nats of each symbol, in order, in pieces (n,)."""
    if protocol.adapt is None:
        yield from surprises(model, ids, protocol.reading(model, len(ids)))
        return
    session = Session(model, vocabulary, reach=0)
    session.adapt(protocol.adapt)
    for start in range(0, len(ids), _PIECE):
        yield session.feed(np.asarray(ids[start : start + _PIECE]))


class _Reader:
    """Sums over consecutive runs of numbers that come in pieces."""

    def __init__(self, pieces: Iterator[np.ndarray]) -> None:
        self._pieces = pieces
        self._piece = np.zeros(0, np.float32)

    def sum_of(self, count: int) -> float:
        """The sum of the next `count` numbers."""
        total = 0.0
        while count > len(self._piece):
            total += float(self._piece.sum(dtype=np.float64))
            count -= len(self._piece)
            self._piece = next(self._pieces)
        total += float(self._piece[:count].sum(dtype=np.float64))
        self._piece = self._piece[count:]
        return total
