"""`POST /v1/completions`, compatible with OpenAI's clients."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from onward.data.vocabulary import Vocabulary
from onward.errors import OnwardError
from onward.inference.generate import Ending
from onward.inference.step.sampling import Sampling
from onward.inference.text_source import ids_of
from onward.serve.api.answer_size import AnswerSizes
from onward.serve.api.logprobs import LogprobsJson, LogprobsWriter, logprobs_object
from onward.serve.api.operation import operation
from onward.serve.api.requests import CompletionRequest
from onward.serve.api.responses import CompletionHead, CompletionResponse, Usage
from onward.serve.engine.batcher import SampleRequest
from onward.serve.engine.prefill import prefill
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.engine.tokens import SymbolNames, Tokens
from onward.serve.http.errors import ApiError, as_api_error, invalid_value, to_json
from onward.serve.http.json_text import dump_items, dump_members
from onward.serve.http.limits import Limits
from onward.serve.http.responses import (
    DONE,
    EventStream,
    LargeJson,
    event,
    event_of_parts,
    json_of_parts,
    read_body,
    until_client_leaves,
)
from onward.serve.http.validation import parsed
from onward.serve.http.work_thread import work_on_text

_WAITING_PARTS = 256
"""Parts of completions that wait to be sent; the tasks that make more wait too."""

_SMALLER = "send fewer or shorter prompts, or lower n, max_tokens or logprobs"


class Part(NamedTuple):
    """A part of a completion.

    Attributes:
        text: its text.
        logprobs: its log-probabilities; None if there are none, or they were not requested.
        symbols: number of symbols that the model has written of the completion so far.
        ending: why the completion ended; None while it continues.
    """

    text: str
    logprobs: LogprobsJson | None = None
    symbols: int = 0
    ending: Ending | None = None


Parts: TypeAlias = AsyncGenerator[tuple[int, Part]]
"""Yields the index of a completion and its next part."""


@dataclass(frozen=True)
class Job:
    """A completion request, prepared for the engine.

    Attributes:
        prompts: symbol ids of each prompt, (N,).
        samples: the completions of each prompt.
        logprobs: number of likely symbols to list with each symbol; None: no log-probabilities.
        echo: whether a completion begins with its prompt.
        size: number of symbols that the answer lists at most, with their alternatives.
    """

    prompts: list[np.ndarray]
    samples: list[SampleRequest]
    logprobs: int | None
    echo: bool
    size: int

    @property
    def choices(self) -> int:
        return len(self.prompts) * len(self.samples)

    def usage(self, written: int) -> Usage:
        """Returns the counts of symbols."""
        prompt = sum(map(len, self.prompts))
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


@operation(
    "POST",
    "/v1/completions",
    id="createCompletion",
    body=CompletionRequest,
    response=CompletionResponse,
    streams=True,
)
async def complete(
    request: Request, models: ModelRegistry, limits: Limits, sizes: AnswerSizes
) -> Response | LargeJson | EventStream:
    """Continue a text."""
    body = await read_body(request.receive, limits)
    asked = await parsed(CompletionRequest, body, limits)
    served = models.get(asked.model)
    job = await work_on_text(len(body), lambda: prepare(asked, served.trained.vocabulary, limits, sizes))
    head: CompletionHead = {
        "id": f"cmpl-{secrets.token_urlsafe(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
    }
    with ExitStack() as during:
        during.enter_context(sizes.slot(job.size, request.scope))
        parts = _parts(served, job)
        if not asked.stream:
            completions = await until_client_leaves(request.receive, _collect(parts, job))
            return json_of_parts(_answer(head, completions, job), job.size, limits, during=during.pop_all())
        # The first part comes before the response begins: until then a request can still be refused.
        first = await until_client_leaves(request.receive, anext(parts))
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        events = _events(first, parts, job, head, usage=usage)
        return EventStream(events, limits, finishes=True, during=during.pop_all())


def prepare(asked: CompletionRequest, vocabulary: Vocabulary, limits: Limits, sizes: AnswerSizes) -> Job:
    """Encodes the prompts, and checks what depends on the vocabulary or on several fields.

    Raises:
        ApiError: there are too many completions, an id has no symbol, or the prompts or the answer are too
            long.
    """
    prompts = _prompts(asked, vocabulary, limits)
    if asked.n * len(prompts) > limits.choices:
        expected = f"at most {limits.choices // len(prompts)} for {len(prompts)} prompts"
        raise invalid_value("n", expected, asked.n)
    logprobs = None if asked.logprobs is None or asked.logprobs is False else int(asked.logprobs)
    listed = asked.n * sum(asked.max_tokens + (len(prompt) if asked.echo else 0) for prompt in prompts)
    size = sizes.check(listed, logprobs or 0, "n", _SMALLER)
    sample = SampleRequest(
        length=asked.max_tokens,
        sampling=Sampling(
            temperature=asked.temperature, top_p=asked.top_p, top_k=asked.top_k, min_p=asked.min_p
        ),
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        seed=secrets.randbits(62) if asked.seed is None else asked.seed % (1 << 64),
        logprobs=logprobs,
    )
    return Job(prompts, [replace(sample, number=i) for i in range(asked.n)], logprobs, asked.echo, size)


def _prompts(asked: CompletionRequest, vocabulary: Vocabulary, limits: Limits) -> list[np.ndarray]:
    given = asked.prompts()
    for prompt in given:
        if isinstance(prompt, list) and max(prompt, default=0) >= len(vocabulary):
            raise invalid_value("prompt", f"ids below {len(vocabulary)}", max(prompt))
    prompts = [ids_of(prompt, vocabulary) for prompt in given]
    size = sum(map(len, prompts))
    if size > limits.prompt_symbols:
        message = f"expected prompts of at most {limits.prompt_symbols:,} symbols, got {size:,}"
        hint = "send fewer prompts, or only the end of each"
        raise ApiError(413, "too_large", message, param="prompt", hint=hint)
    return prompts


async def _parts(served: ServedModel, job: Job) -> Parts:
    """Yields the parts of all completions as they arrive."""
    inbox: asyncio.Queue[tuple[int, Part] | Exception | None] = asyncio.Queue(_WAITING_PARTS)

    async def run(number: int) -> None:
        try:
            async for part in _parts_of_prompt(served, job, number):
                await inbox.put(part)
            await inbox.put(None)
        except Exception as error:  # raised below, where the parts are read
            await inbox.put(error)

    tasks = [asyncio.create_task(run(number)) for number in range(len(job.prompts))]
    running = len(tasks)
    try:
        while running:
            message = await inbox.get()
            if message is None:
                running -= 1
            elif isinstance(message, Exception):
                raise message
            else:
                yield message
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _parts_of_prompt(served: ServedModel, job: Job, number: int) -> AsyncIterator[tuple[int, Part]]:
    engine, names = served.engine, served.names
    ids, count = job.prompts[number], len(job.samples)
    primed, tokens = await engine.run(prefill(served.trained, ids, job.logprobs if job.echo else None))
    served.metrics.symbols_read.inc(len(ids))
    length = 0
    if job.echo:
        async for part in _echo(ids, tokens, names):
            length += len(part.text)
            for i in range(count):
                yield number * count + i, part
    writers = [LogprobsWriter(names, length) for _ in range(count)]
    async for i, chunk in engine.write(primed, job.samples):
        logprobs = await _written(writers[i], chunk.tokens)
        yield number * count + i, Part(chunk.text, logprobs, chunk.symbols, chunk.ending)


async def _echo(ids: np.ndarray, slices: Sequence[Tokens], names: SymbolNames) -> AsyncIterator[Part]:
    """Yields the parts of an echo, which all completions of the prompt share."""
    writer, decoder = LogprobsWriter(names), names.vocabulary.decoder()
    for tokens in slices:
        logprobs = await _written(writer, tokens)
        yield Part(decoder.feed(tokens.symbols), logprobs)
    rest = decoder.finish() if slices else names.vocabulary.decode(ids)
    if rest:
        yield Part(rest)


async def _written(writer: LogprobsWriter, tokens: Tokens | None) -> LogprobsJson | None:
    """Returns the log-probabilities of some symbols as JSON."""
    return tokens and await work_on_text(tokens.top.size, lambda: writer.write(tokens))


@dataclass
class _Collected:
    """The parts of a completion so far."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[LogprobsJson] = field(default_factory=list)
    ending: Ending | None = None
    symbols: int = 0


async def _collect(parts: Parts, job: Job) -> list[_Collected]:
    """Returns the completions after all of them have ended."""
    collected = [_Collected() for _ in range(job.choices)]
    async for i, part in parts:
        one = collected[i]
        one.texts.append(part.text)
        if part.logprobs:
            one.logprobs.append(part.logprobs)
        one.ending, one.symbols = part.ending, part.symbols
    return collected


def _answer(head: CompletionHead, completions: Sequence[_Collected], job: Job) -> Iterator[bytes]:
    """Yields the parts of the JSON of a response."""
    choices = (
        _choice(i, "".join(one.texts), one.logprobs if job.logprobs is not None else None, one.ending)
        for i, one in enumerate(completions)
    )
    usage = job.usage(sum(one.symbols for one in completions))
    return dump_members({**head, "choices": dump_items(choices), "usage": usage})


async def _events(
    first: tuple[int, Part], parts: Parts, job: Job, head: CompletionHead, *, usage: bool
) -> AsyncIterator[bytes]:
    """Yields an event for each part; an error becomes an event too."""
    symbols = [0] * job.choices
    no_usage: dict[str, Any] = {"usage": None} if usage else {}
    try:
        async for i, part in _chain(first, parts):
            symbols[i] = part.symbols
            logprobs = [part.logprobs] if part.logprobs else []
            choice = _choice(i, part.text, logprobs if job.logprobs is not None else None, part.ending)
            yield event_of_parts(dump_members({**head, "choices": dump_items([choice]), **no_usage}))
        if usage:
            yield event({**head, "choices": [], "usage": job.usage(sum(symbols))})
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
