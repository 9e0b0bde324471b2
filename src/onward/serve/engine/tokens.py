"""Symbols as the API reports them: text, log-probability, and the likeliest alternatives."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from onward.data.vocabulary import SPECIAL, Vocabulary


class Tokens(NamedTuple):
    """n symbols of a text, each with its k likeliest alternatives.

    Arrays take a tenth of the memory of Python's numbers: a long prompt has a million alternatives.

    Attributes:
        symbols: their ids, (n,).
        nats: their log-probabilities, 0 or less, (n,).
        top: ids of the likeliest symbols at each place, the likeliest first, (n, k).
        top_nats: log-probabilities of these, (n, k).
    """

    symbols: np.ndarray
    nats: np.ndarray
    top: np.ndarray
    top_nats: np.ndarray


class NextSymbol(NamedTuple):
    """A symbol that may come next.

    Attributes:
        symbol: its name.
        text: its text by itself, see `text_of`.
        probability: probability of this symbol.
    """

    symbol: str
    text: str
    probability: float


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Returns the log-softmax of logits (..., V), in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def likeliest(values: np.ndarray, count: int) -> list[int]:
    """Returns the ids of the greatest of values (V,), the greatest first; equal ones by id."""
    count = min(count, len(values))
    if count <= 0:
        return []
    least = np.partition(values, len(values) - count)[len(values) - count]
    candidates = (values >= least).nonzero()[0]
    return candidates[np.argsort(-values[candidates], kind="stable")][:count].tolist()


def tokens_of(logs: np.ndarray, symbols: Sequence[int], count: int) -> Tokens:
    """Returns the tokens of symbols (n,), each with `count` alternatives.

    Args:
        logs: log-probabilities of all symbols at the place of each, (n, V).
        symbols: ids of the symbols.
        count: number of alternatives; there are never more than V.
    """
    ids = np.array(symbols, np.int64)
    top = np.array([likeliest(row, count) for row in logs], np.int64)
    top = top.reshape(len(ids), min(count, logs.shape[1]))
    nats = np.take_along_axis(logs, np.column_stack([ids, top]), axis=1)
    return Tokens(ids, nats[:, 0], top, nats[:, 1:])


def joined(parts: Sequence[Tokens]) -> Tokens:
    """Returns the tokens of consecutive parts of a text, at least one."""
    return Tokens(*map(np.concatenate, zip(*parts, strict=True)))


def text_of(vocabulary: Vocabulary, symbol: int) -> str:
    """Returns the text of a symbol by itself; "" if it has none, such as a byte within a character."""
    if vocabulary.kind == "bytes":
        raw = vocabulary.decode_bytes([symbol])
        return raw.decode() if raw.isascii() else ""
    return vocabulary.decode([symbol])


def name_of(vocabulary: Vocabulary, symbol: int) -> str:
    r"""Returns the name of a symbol in `logprobs`: its text, "<end>", or "bytes:\xe2" as OpenAI names a
    byte."""
    if symbol < len(SPECIAL) and not (vocabulary.kind == "bytes" and symbol == 0):
        return SPECIAL[symbol]
    text = text_of(vocabulary, symbol)
    return text or "bytes:" + "".join(f"\\x{byte:02x}" for byte in vocabulary.decode_bytes([symbol]))


class SymbolNames:
    """The names of the symbols of a vocabulary, each made once.

    Attributes:
        vocabulary: as given.
        in_logprobs: returns the name of an id in `logprobs`, see `name_of`.
        printable: returns the printable name of an id, and its text by itself, see `text_of`.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.in_logprobs: Callable[[int], str] = cache(partial(name_of, vocabulary))
        self.printable: Callable[[int], tuple[str, str]] = cache(
            lambda symbol: (vocabulary.symbol(symbol), text_of(vocabulary, symbol))
        )


class SymbolRanking:
    """Ranks the symbols of a vocabulary by their probability of coming next."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._names = SymbolNames(vocabulary)

    def top(self, probabilities: np.ndarray, count: int) -> list[NextSymbol]:
        """Returns the `count` likeliest symbols, given the probabilities (V,)."""
        likely = likeliest(probabilities, count)
        return [
            NextSymbol(*self._names.printable(i), probability)
            for i, probability in zip(likely, probabilities[likely].tolist(), strict=True)
        ]
