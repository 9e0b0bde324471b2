"""The score of a text. The surprise of a symbol is the negative logarithm of its predicted probability."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from onward.data.symbols import Symbols
from onward.data.vocabulary import UNKNOWN, Vocabulary
from onward.inference.scoring.protocol import Protocol, surprises
from onward.inference.session import Session
from onward.inference.text_source import TextSource, open_source
from onward.model import LanguageModel
from onward.precision import Precision
from onward.units import nats_to_bits

_PIECE = 1024

ScoringProgress = Callable[[int, int], None]
"""Called with the number of symbols scored so far and the total number of symbols."""


@dataclass(frozen=True)
class Score:
    """The surprise of a text.

    Attributes:
        symbols: number of symbols.
        nats: sum of their surprises.
        protocol: how the text was read: `streaming`, `memory`, `adaptive`, or for example `cold-256`.
        lanes: number of parallel lanes; 1 means one pass.
        precision: precision of the matrix products.
        unknown: number of symbols that are not in the vocabulary.
    """

    symbols: int
    nats: float
    protocol: str
    lanes: int = 1
    precision: Precision = "fp32"
    unknown: int = 0

    @property
    def nats_per_symbol(self) -> float:
        """Mean surprise in nats."""
        return self.nats / self.symbols

    @property
    def bits_per_symbol(self) -> float:
        """Mean surprise in bits."""
        return nats_to_bits(self.nats_per_symbol)

    def to_json(self) -> dict[str, Any]:
        """Returns the score as plain values."""
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
    """The surprise of a line.

    Attributes:
        line: its number, from 1.
        symbols: number of its symbols, including the line end.
        nats: sum of their surprises.
        text: its characters, without the line end.
    """

    line: int
    symbols: int
    nats: float
    text: str


class SymbolScore(NamedTuple):
    """The surprise of a symbol.

    Attributes:
        position: its number, from 0.
        symbol: its printable name.
        nats: its surprise.
    """

    position: int
    symbol: str
    nats: float


def score(
    model: LanguageModel,
    vocabulary: Vocabulary,
    source: TextSource,
    protocol: Protocol | None = None,
    progress: ScoringProgress | None = None,
) -> Score:
    """Scores a text, in constant memory.

    Raises:
        CorpusError: the source has no text, or cannot be read.
        VocabularyError: an id is not in the vocabulary.
    """
    protocol = protocol or Protocol()
    with open_source(source, vocabulary) as text:
        plan = protocol.plan(model, len(text.ids))
        nats, symbols, unknown = 0.0, 0, 0
        for part in _nats(model, vocabulary, text.ids, protocol):
            nats += float(part.sum(dtype=np.float64))
            unknown += int((np.asarray(text.ids[symbols : symbols + len(part)]) == UNKNOWN).sum())
            symbols += len(part)
            if progress:
                progress(symbols, len(text.ids))
    return Score(symbols, nats, protocol.name, plan.lanes, plan.precision, unknown)


def score_lines(
    model: LanguageModel, vocabulary: Vocabulary, source: TextSource, protocol: Protocol | None = None
) -> Iterator[LineScore]:
    """Yields the score of each line, in order, as soon as it is known. Raises the errors of `score`."""
    with open_source(source, vocabulary) as text:
        sums = _ConsecutiveSums(_nats(model, vocabulary, text.ids, protocol or Protocol()))
        for number, line in enumerate(text.lines(), 1):
            yield LineScore(number, line.symbols, sums.next(line.symbols), line.text)


def score_symbols(
    model: LanguageModel, vocabulary: Vocabulary, source: TextSource, protocol: Protocol | None = None
) -> Iterator[SymbolScore]:
    """Yields the score of each symbol, in order, as soon as it is known. Raises the errors of `score`."""
    with open_source(source, vocabulary) as text:
        position = 0
        for part in _nats(model, vocabulary, text.ids, protocol or Protocol()):
            ids = np.asarray(text.ids[position : position + len(part)]).tolist()
            for symbol, nats in zip(ids, part.tolist(), strict=True):
                yield SymbolScore(position, vocabulary.symbol(symbol), nats)
                position += 1


def _nats(
    model: LanguageModel, vocabulary: Vocabulary, ids: Symbols, protocol: Protocol
) -> Iterator[np.ndarray]:
    """Yields the surprise of each symbol, in order, in pieces (n,)."""
    if not protocol.learns:
        yield from surprises(model, ids, protocol.plan(model, len(ids)))
        return
    memory = protocol.memory.fork() if protocol.memory else None
    session = Session(model, vocabulary, reach=0, memory=memory)
    if protocol.adapt:
        session.adapt(protocol.adapt)
    for start in range(0, len(ids), _PIECE):
        yield session.feed(np.asarray(ids[start : start + _PIECE]))


class _ConsecutiveSums:
    """Sums consecutive numbers that arrive in pieces."""

    def __init__(self, pieces: Iterator[np.ndarray]) -> None:
        self._pieces = pieces
        self._piece = np.zeros(0, np.float32)

    def next(self, count: int) -> float:
        """Returns the sum of the next `count` numbers."""
        total = 0.0
        while count > len(self._piece):
            total += float(self._piece.sum(dtype=np.float64))
            count -= len(self._piece)
            self._piece = next(self._pieces)
        total += float(self._piece[:count].sum(dtype=np.float64))
        self._piece = self._piece[count:]
        return total
