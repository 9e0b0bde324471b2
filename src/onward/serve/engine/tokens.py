"""Symbols as a client is told of them: text, surprise, and what else was likely in their place."""

from typing import Any, NamedTuple

import numpy as np

from onward.data.vocabulary import SPECIAL, Vocabulary


class Token(NamedTuple):
    """A symbol in its place.

    Attributes:
        symbol: its id.
        nats: the log-probability it had, 0 or less.
        top: ids and log-probabilities of the likeliest, the likeliest first.
    """

    symbol: int
    nats: float
    top: list[tuple[int, float]]


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Of logits (..., V), in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def likeliest(values: np.ndarray, count: int) -> list[int]:
    """The ids of the greatest of values (V,), the greatest first; of equals the lower id first."""
    count = min(count, len(values))
    if count <= 0:
        return []
    least = np.partition(values, len(values) - count)[len(values) - count]
    candidates = (values >= least).nonzero()[0]
    return candidates[np.argsort(-values[candidates], kind="stable")][:count].tolist()


def token_of(logs: np.ndarray, symbol: int, count: int) -> Token:
    """A symbol that came where these log-probabilities (V,) were expected, with `count` likeliest."""
    return Token(symbol, float(logs[symbol]), [(i, float(logs[i])) for i in likeliest(logs, count)])


def text_of(vocabulary: Vocabulary, symbol: int) -> str:
    """The text of a symbol by itself; "" for what is no text, such as a byte that is only a part of one."""
    if vocabulary.kind == "bytes":
        raw = vocabulary.decode_bytes([symbol])
        return raw.decode() if raw.isascii() else ""
    return vocabulary.decode([symbol])


def name_of(vocabulary: Vocabulary, symbol: int) -> str:
    r"""The name of a symbol in `logprobs`: its text, "<end>", or "bytes:\xe2" as OpenAI has it."""
    if symbol < len(SPECIAL) and not (vocabulary.kind == "bytes" and symbol == 0):
        return SPECIAL[symbol]
    text = text_of(vocabulary, symbol)
    return text or "bytes:" + "".join(f"\\x{byte:02x}" for byte in vocabulary.decode_bytes([symbol]))


class Expecting:
    """Tells what is expected, as plain values.

    Args:
        vocabulary: what ids mean.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._names = [(vocabulary.symbol(i), text_of(vocabulary, i)) for i in range(len(vocabulary))]

    def of(self, probabilities: np.ndarray, count: int) -> list[dict[str, Any]]:
        """The likeliest of probabilities (V,)."""
        likely = likeliest(probabilities, count)
        return [
            {"symbol": self._names[i][0], "text": self._names[i][1], "probability": probability}
            for i, probability in zip(likely, probabilities[likely].tolist(), strict=True)
        ]
