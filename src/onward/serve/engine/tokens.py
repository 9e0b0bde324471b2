"""Symbols as the API reports them: text, log-probability, and the likeliest alternatives."""

from typing import NamedTuple

import numpy as np

from onward.data.vocabulary import SPECIAL, Vocabulary


class Token(NamedTuple):
    """A symbol at its place in a text.

    Attributes:
        symbol: its id.
        nats: its log-probability, 0 or less.
        top: ids and log-probabilities of the likeliest symbols at this place, the likeliest first.
    """

    symbol: int
    nats: float
    top: list[tuple[int, float]]


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


def token_of(logs: np.ndarray, symbol: int, count: int) -> Token:
    """Returns the token of a symbol and `count` alternatives, by the log-probabilities (V,) at its place."""
    return Token(symbol, float(logs[symbol]), [(i, float(logs[i])) for i in likeliest(logs, count)])


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


class SymbolRanking:
    """Ranks the symbols of a vocabulary by their probability of coming next."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._names = [(vocabulary.symbol(i), text_of(vocabulary, i)) for i in range(len(vocabulary))]

    def top(self, probabilities: np.ndarray, count: int) -> list[NextSymbol]:
        """Returns the `count` likeliest symbols, given the probabilities (V,)."""
        likely = likeliest(probabilities, count)
        return [
            NextSymbol(*self._names[i], probability)
            for i, probability in zip(likely, probabilities[likely].tolist(), strict=True)
        ]
