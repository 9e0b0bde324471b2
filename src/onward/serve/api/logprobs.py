"""Log-probabilities of symbols, written as the JSON of a completion's `logprobs`."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from onward.serve.engine.tokens import SymbolNames, Tokens
from onward.serve.http.json_text import dump, dump_members


class LogprobsJson(NamedTuple):
    """Log-probabilities of consecutive symbols, at least one: the JSON of each list without its brackets.

    The completions of a prompt share those of its echo, which are written once.
    """

    tokens: bytes
    token_logprobs: bytes
    top_logprobs: bytes
    text_offset: bytes


class LogprobsWriter:
    """Writes the log-probabilities of the symbols of a text, part by part.

    Args:
        names: names of the symbols.
        offset: position in characters at which the symbols begin.
    """

    def __init__(self, names: SymbolNames, offset: int = 0) -> None:
        self._name, self._offset = names.in_logprobs, offset
        self._decoder = names.vocabulary.decoder()

    def write(self, tokens: Tokens) -> LogprobsJson:
        """Returns the JSON of the next symbols."""
        name, offsets = self._name, list[int]()
        for symbol in tokens.symbols.tolist():
            offsets.append(self._offset)
            self._offset += len(self._decoder.feed([symbol]))
        top = zip(tokens.top.tolist(), tokens.top_nats.tolist(), strict=True)
        return LogprobsJson(
            _items([name(symbol) for symbol in tokens.symbols.tolist()]),
            _items(tokens.nats.tolist()),
            b",".join(dump({name(i): nats for i, nats in zip(*each, strict=True)}) for each in top),
            _items(offsets),
        )


def logprobs_object(parts: Sequence[LogprobsJson]) -> Iterator[bytes]:
    """Yields the parts of the JSON of `logprobs`."""
    lists = zip(*parts, strict=True) if parts else [()] * len(LogprobsJson._fields)
    return dump_members({name: _list(items) for name, items in zip(LogprobsJson._fields, lists, strict=True)})


def _items(values: Sequence[object]) -> bytes:
    return dump(values)[1:-1]


def _list(parts: Sequence[bytes]) -> Iterator[bytes]:
    yield b"["
    for number, part in enumerate(parts):
        yield b"," + part if number else part
    yield b"]"
