"""The answer to a completion request: completions arrive in parts, and are sent whole or as a stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from onward.errors import OnwardError
from onward.inference.generate import Ending
from onward.serve.api.logprobs import LogprobsJson, logprobs_object
from onward.serve.api.responses import CompletionHead, Usage
from onward.serve.http.errors import as_api_error, to_json
from onward.serve.http.json_text import dump_items, dump_members
from onward.serve.http.responses import DONE, event, event_of_parts


class Part(NamedTuple):
    """A part of a completion.

    Attributes:
        text: its text.
        logprobs: its log-probabilities; None if there are none, or they were not requested.
        symbols: number of symbols that the model has written of the completion so far.
        ending: why the completion ended; None while it continues.
        nats: sum of the log-probabilities of the symbols of this part, if the job ranks its samples.
    """

    text: str
    logprobs: LogprobsJson | None = None
    symbols: int = 0
    ending: Ending | None = None
    nats: float = 0.0


Parts: TypeAlias = AsyncGenerator[tuple[int, Part]]
"""Yields the index of a completion and its next part."""


@dataclass(frozen=True, kw_only=True)
class AnswerShape:
    """Which completions an answer has.

    Attributes:
        prompts: number of prompts.
        samples: completions that are made for each prompt.
        kept: completions of each prompt in the answer: those with the highest log-probability per symbol.
        prompt_symbols: symbols of all prompts.
        logprobs: whether the answer has log-probabilities.
    """

    prompts: int
    samples: int
    kept: int
    prompt_symbols: int
    logprobs: bool = False

    def usage(self, written: int) -> Usage:
        """Returns the counts of symbols."""
        read = self.prompt_symbols
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


@dataclass
class Collected:
    """The parts of a completion so far."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[LogprobsJson] = field(default_factory=list)
    ending: Ending | None = None
    symbols: int = 0
    nats: float = 0.0

    @property
    def nats_per_symbol(self) -> float:
        """Mean log-probability of its symbols."""
        return self.nats / max(1, self.symbols)


async def collect(parts: Parts, shape: AnswerShape) -> list[Collected]:
    """Returns all completions after they have ended."""
    collected = [Collected() for _ in range(shape.prompts * shape.samples)]
    async for i, part in parts:
        one = collected[i]
        one.texts.append(part.text)
        if part.logprobs:
            one.logprobs.append(part.logprobs)
        one.ending, one.symbols = part.ending, part.symbols
        one.nats += part.nats
    return collected


def answer(head: CompletionHead, completions: Sequence[Collected], shape: AnswerShape) -> Iterator[bytes]:
    """Yields the parts of the JSON of a response."""
    choices = (
        _choice(i, "".join(one.texts), one.logprobs if shape.logprobs else None, one.ending)
        for i, one in enumerate(_kept(completions, shape))
    )
    usage = shape.usage(sum(one.symbols for one in completions))
    return dump_members({**head, "choices": dump_items(choices), "usage": usage})


def _kept(completions: Sequence[Collected], shape: AnswerShape) -> Iterator[Collected]:
    """Yields the completions of the answer."""
    for start in range(0, len(completions), shape.samples):
        samples = completions[start : start + shape.samples]
        if shape.kept < shape.samples:
            samples = sorted(samples, key=lambda one: -one.nats_per_symbol)[: shape.kept]
        yield from samples


async def events(
    first: tuple[int, Part], parts: Parts, shape: AnswerShape, head: CompletionHead, *, usage: bool
) -> AsyncIterator[bytes]:
    """Yields an event for each part; an error becomes an event too."""
    symbols = [0] * (shape.prompts * shape.samples)
    no_usage: dict[str, Any] = {"usage": None} if usage else {}
    try:
        async for i, part in _chain(first, parts):
            symbols[i] = part.symbols
            logprobs = [part.logprobs] if part.logprobs else []
            choice = _choice(i, part.text, logprobs if shape.logprobs else None, part.ending)
            yield event_of_parts(dump_members({**head, "choices": dump_items([choice]), **no_usage}))
        if usage:
            yield event({**head, "choices": [], "usage": shape.usage(sum(symbols))})
    except OnwardError as error:
        yield event(to_json(as_api_error(error)))
    finally:
        await parts.aclose()
    yield DONE


async def _chain(first: tuple[int, Part], parts: Parts) -> AsyncIterator[tuple[int, Part]]:
    yield first
    async for part in parts:
        yield part


def _choice(
    index: int, text: str, logprobs: Sequence[LogprobsJson] | None, ending: Ending | None
) -> Iterator[bytes]:
    """Yields the parts of the JSON of a choice (`CompletionChoice`)."""
    reason = None if ending is None else "length" if ending == "length" else "stop"
    listed = None if logprobs is None else logprobs_object(logprobs)
    return dump_members({"text": text, "index": index, "logprobs": listed, "finish_reason": reason})
