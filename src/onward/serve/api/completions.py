"""`POST /v1/completions`, compatible with OpenAI's clients."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from onward.data.vocabulary import Vocabulary
from onward.errors import OnwardError
from onward.inference.generate import Ending
from onward.inference.step.sampling import Sampling
from onward.inference.text_source import ids_of
from onward.serve.api.operation import operation
from onward.serve.api.requests import CompletionRequest
from onward.serve.api.responses import CompletionChoice, CompletionHead, CompletionResponse, Logprobs, Usage
from onward.serve.engine.batcher import SampleRequest, TextChunk
from onward.serve.engine.prefill import prefill
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.engine.tokens import Token, name_of
from onward.serve.http.errors import ApiError, as_api_error, invalid_value, to_json
from onward.serve.http.limits import Limits
from onward.serve.http.responses import (
    DONE,
    EventStream,
    event,
    json_response,
    read_body,
    until_client_leaves,
)
from onward.serve.http.validation import read_model

Chunks: TypeAlias = AsyncGenerator[tuple[int, TextChunk]]
"""Yields the index of a completion and its next chunk."""


@dataclass(frozen=True)
class Job:
    """A completion request, prepared for the engine.

    Attributes:
        prompts: symbol ids of each prompt, (N,).
        samples: the completions of each prompt.
        logprobs: number of likely symbols to list with each symbol; None: no log-probabilities.
        echo: whether a completion begins with its prompt.
    """

    prompts: list[np.ndarray]
    samples: list[SampleRequest]
    logprobs: int | None
    echo: bool

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
async def complete(request: Request, models: ModelRegistry, limits: Limits) -> Response | EventStream:
    """Continue a text."""
    asked = read_model(CompletionRequest, await read_body(request.receive, limits), limits)
    served = models.get(asked.model)
    job = prepare(asked, served.trained.vocabulary, limits)
    head: CompletionHead = {
        "id": f"cmpl-{secrets.token_urlsafe(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
    }
    chunks = _chunks(served, job)
    if not asked.stream:
        choices, usage = await until_client_leaves(request, _collect(chunks, served, job))
        return json_response({**head, "choices": choices, "usage": usage})
    # The first chunk comes before the response begins: until then a request can still be refused.
    first = await until_client_leaves(request, anext(chunks))
    usage = bool(asked.stream_options and asked.stream_options.include_usage)
    return EventStream(_events(first, chunks, served, job, head, usage=usage), limits, finishes=True)


def prepare(asked: CompletionRequest, vocabulary: Vocabulary, limits: Limits) -> Job:
    """Encodes the prompts, and checks what depends on the vocabulary or on several fields.

    Raises:
        ApiError: there are too many completions, an id has no symbol, or the prompts are too long.
    """
    prompts = _prompts(asked, vocabulary, limits)
    if asked.n * len(prompts) > limits.choices:
        expected = f"at most {limits.choices // len(prompts)} for {len(prompts)} prompts"
        raise invalid_value("n", expected, asked.n)
    logprobs = None if asked.logprobs is None or asked.logprobs is False else int(asked.logprobs)
    sample = SampleRequest(
        length=asked.max_tokens,
        sampling=Sampling(
            temperature=asked.temperature, top_p=asked.top_p, top_k=asked.top_k, min_p=asked.min_p
        ),
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        seed=secrets.randbits(62) if asked.seed is None else asked.seed % (1 << 64),
        logprobs=logprobs,
    )
    return Job(prompts, [replace(sample, number=i) for i in range(asked.n)], logprobs, asked.echo)


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


async def _chunks(served: ServedModel, job: Job) -> Chunks:
    """Yields the chunks of all completions as they arrive."""
    inbox: asyncio.Queue[tuple[int, TextChunk] | Exception | None] = asyncio.Queue()

    async def run(number: int) -> None:
        try:
            async for chunk in _chunks_of_prompt(served, job, number):
                inbox.put_nowait(chunk)
            inbox.put_nowait(None)
        except Exception as error:  # raised below, where the chunks are read
            inbox.put_nowait(error)

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


async def _chunks_of_prompt(
    served: ServedModel, job: Job, number: int
) -> AsyncIterator[tuple[int, TextChunk]]:
    engine, ids, count = served.engine, job.prompts[number], len(job.samples)
    primed, tokens = await engine.run(prefill(served.trained, ids, job.logprobs if job.echo else None))
    served.metrics.symbols_read.inc(len(ids))
    if job.echo:
        text = served.trained.vocabulary.decode(ids)
        for i in range(count):
            yield number * count + i, TextChunk(text, tokens, 0, None)
    async for i, chunk in engine.write(primed, job.samples):
        yield number * count + i, chunk


@dataclass
class _Collected:
    """The text and tokens of a completion so far."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    ending: Ending | None = None
    symbols: int = 0


async def _collect(chunks: Chunks, served: ServedModel, job: Job) -> tuple[list[CompletionChoice], Usage]:
    """Returns the completions after all of them have ended, and the counts of symbols."""
    collected = [_Collected() for _ in range(job.choices)]
    async for i, chunk in chunks:
        one = collected[i]
        one.text += chunk.text
        one.tokens += chunk.tokens
        one.ending, one.symbols = chunk.ending, chunk.symbols
    choices = [
        _choice(i, one.text, _logprobs(served, job, one.tokens, 0), one.ending)
        for i, one in enumerate(collected)
    ]
    return choices, job.usage(sum(one.symbols for one in collected))


async def _events(
    first: tuple[int, TextChunk],
    chunks: Chunks,
    served: ServedModel,
    job: Job,
    head: CompletionHead,
    *,
    usage: bool,
) -> AsyncIterator[bytes]:
    """Yields an event for each chunk; an error becomes an event too."""
    offsets, symbols = [0] * job.choices, [0] * job.choices
    try:
        async for i, chunk in _chain(first, chunks):
            logprobs = _logprobs(served, job, chunk.tokens, offsets[i])
            offsets[i] += len(chunk.text)
            symbols[i] = chunk.symbols
            body = {**head, "choices": [_choice(i, chunk.text, logprobs, chunk.ending)]}
            yield event(body | {"usage": None} if usage else body)
        if usage:
            yield event({**head, "choices": [], "usage": job.usage(sum(symbols))})
    except OnwardError as error:
        yield event(to_json(as_api_error(error)))
    finally:
        await chunks.aclose()
    yield DONE


async def _chain(first: tuple[int, TextChunk], chunks: Chunks) -> AsyncIterator[tuple[int, TextChunk]]:
    yield first
    async for chunk in chunks:
        yield chunk


def _choice(index: int, text: str, logprobs: Logprobs | None, ending: Ending | None) -> CompletionChoice:
    reason = None if ending is None else "length" if ending == "length" else "stop"
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason}


def _logprobs(served: ServedModel, job: Job, tokens: Sequence[Token], offset: int) -> Logprobs | None:
    """Returns the log-probabilities of symbols whose text begins at an offset."""
    if job.logprobs is None:
        return None
    vocabulary = served.trained.vocabulary
    decoder, offsets = vocabulary.decoder(), []
    for token in tokens:
        offsets.append(offset)
        offset += len(decoder.feed([token.symbol]))
    return {
        "tokens": [name_of(vocabulary, token.symbol) for token in tokens],
        "token_logprobs": [token.nats for token in tokens],
        "top_logprobs": [{name_of(vocabulary, i): nats for i, nats in token.top} for token in tokens],
        "text_offset": offsets,
    }
