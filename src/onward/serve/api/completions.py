"""`POST /v1/completions`, compatible with OpenAI's clients."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from onward.data.vocabulary import Vocabulary
from onward.inference.scoring.protocol import Learn
from onward.inference.step.penalties import Penalties
from onward.inference.text_source import ids_of
from onward.serve.api.answer_size import AnswerSizes
from onward.serve.api.completion_answer import AnswerShape, Part, Parts, answer, collect, events
from onward.serve.api.infill import infilled_parts, infilling_of
from onward.serve.api.logprobs import LogprobsJson, LogprobsWriter
from onward.serve.api.operation import operation
from onward.serve.api.requests import CompletionRequest, seed_of
from onward.serve.api.responses import CompletionHead, CompletionResponse
from onward.serve.engine.batcher import SampleRequest
from onward.serve.engine.prefill import prefill, prefill_learning
from onward.serve.engine.prompt_state import MOST_LOOKED_BACK
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.engine.tokens import SymbolNames, Tokens
from onward.serve.http.clients import client_of
from onward.serve.http.errors import ApiError, invalid_value
from onward.serve.http.limits import Limits
from onward.serve.http.responses import (
    EventStream,
    LargeJson,
    json_of_parts,
    read_body,
    until_client_leaves,
)
from onward.serve.http.slots import Slots
from onward.serve.http.validation import parsed
from onward.serve.http.work_thread import work_on_text

_WAITING_PARTS = 256
"""Parts of completions that wait to be sent; the tasks that make more wait too."""

_SMALLER = "send fewer or shorter prompts, or lower n, max_tokens or logprobs"


@dataclass(frozen=True)
class Job:
    """A completion request, prepared for the engine.

    Attributes:
        prompts: symbol ids of each prompt, (N,).
        samples: the completions of each prompt.
        logprobs: number of likely symbols to list with each symbol; None: no log-probabilities.
        echo: whether a completion begins with its prompt.
        learn: what learns from a prompt.
        size: number of symbols that the answer lists at most, with their alternatives.
        shape: which completions the answer has.
    """

    prompts: list[np.ndarray]
    samples: list[SampleRequest]
    logprobs: int | None
    echo: bool
    learn: Learn
    size: int
    shape: AnswerShape


@operation(
    "POST",
    "/v1/completions",
    id="createCompletion",
    body=CompletionRequest,
    response=CompletionResponse,
    streams=True,
)
async def complete(
    request: Request, models: ModelRegistry, limits: Limits, sizes: AnswerSizes, learning: Slots
) -> Response | LargeJson | EventStream:
    """Continue a text, or fill in its middle."""
    body = await read_body(request.receive, limits)
    asked = await parsed(CompletionRequest, body, limits)
    served = models.get(asked.model)
    head: CompletionHead = {
        "id": f"cmpl-{secrets.token_urlsafe(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
    }
    with ExitStack() as during:
        if infilling := infilling_of(asked, limits):
            parts, shape = await until_client_leaves(request.receive, infilled_parts(served, infilling))
            size = 0
        else:
            vocabulary = served.trained.vocabulary
            job = await work_on_text(len(body), lambda: prepare(asked, vocabulary, limits, sizes))
            during.enter_context(sizes.slot(job.size, request.scope))
            if job.learn != "none":
                during.enter_context(learning.take(client_of(request.scope)))
            parts, shape, size = _parts(served, job), job.shape, job.size
        if not asked.stream:
            completions = await until_client_leaves(request.receive, collect(parts, shape))
            return json_of_parts(answer(head, completions, shape), size, limits, during=during.pop_all())
        # The first part comes before the response begins: until then a request can still be refused.
        first = await until_client_leaves(request.receive, anext(parts))
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        stream = events(first, parts, shape, head, usage=usage)
        return EventStream(stream, limits, finishes=True, during=during.pop_all())


def prepare(asked: CompletionRequest, vocabulary: Vocabulary, limits: Limits, sizes: AnswerSizes) -> Job:
    """Encodes the prompts, and checks what depends on the vocabulary or on several fields.

    Raises:
        ApiError: there are too many completions, an id has no symbol, or the prompts or the answer are too
            long.
    """
    prompts = _prompts(asked, vocabulary, limits)
    made = _best_of(asked)
    if made * len(prompts) > limits.choices:
        expected = f"at most {limits.choices // len(prompts)} for {len(prompts)} prompts"
        raise invalid_value("n" if made == asked.n else "best_of", expected, made)
    logprobs = None if asked.logprobs is None or asked.logprobs is False else int(asked.logprobs)
    listed = made * sum(asked.max_tokens + (len(prompt) if asked.echo else 0) for prompt in prompts)
    size = sizes.check(listed, logprobs or 0, "n", _SMALLER)
    ranks = made > asked.n
    sample = SampleRequest(
        length=asked.max_tokens,
        sampling=asked.sampling(),
        stop=asked.stops(),
        seed=seed_of(asked.seed),
        logprobs=0 if ranks and logprobs is None else logprobs,
        penalties=Penalties(
            presence=asked.presence_penalty,
            frequency=asked.frequency_penalty,
            repeat=asked.repeat_penalty,
            last=MOST_LOOKED_BACK if asked.repeat_last_n < 0 else asked.repeat_last_n,
            bias=_bias(asked, vocabulary),
        ),
    )
    shape = AnswerShape(
        prompts=len(prompts),
        samples=made,
        kept=asked.n,
        prompt_symbols=sum(map(len, prompts)),
        logprobs=logprobs is not None,
    )
    samples = [replace(sample, number=i) for i in range(made)]
    return Job(prompts, samples, logprobs, asked.echo, asked.learn or "none", size, shape)


def _best_of(asked: CompletionRequest) -> int:
    """Returns the number of samples of each prompt."""
    made = asked.n if asked.best_of is None else asked.best_of
    if made < asked.n:
        raise invalid_value("best_of", f"at least n, which is {asked.n}", made)
    if made > asked.n and asked.stream:
        raise invalid_value("best_of", f"{asked.n}, the value of n, in a stream", made)
    return made


def _bias(asked: CompletionRequest, vocabulary: Vocabulary) -> tuple[tuple[int, float], ...]:
    """Returns the logit biases of symbols."""
    for name in asked.logit_bias:
        if not (name.isascii() and name.isdigit() and int(name) < len(vocabulary)):
            raise invalid_value("logit_bias", f"ids from 0 to {len(vocabulary) - 1} as names", name)
    return tuple((int(name), value) for name, value in asked.logit_bias.items())


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
    top = job.logprobs if job.echo else None
    if job.learn == "none":
        reading = prefill(served.trained, ids, top)
    else:
        reading = prefill_learning(served.trained, ids, top, job.learn)
    primed, tokens = await engine.run(reading)
    served.metrics.symbols_read.inc(len(ids))
    length = 0
    if job.echo:
        async for part in _echo(ids, tokens, names):
            length += len(part.text)
            for i in range(count):
                yield number * count + i, part
    writers = [LogprobsWriter(names, length) for _ in range(count)]
    async for i, chunk in engine.write(primed, job.samples):
        logprobs = await _written(writers[i], chunk.tokens) if job.shape.logprobs else None
        nats = float(chunk.tokens.nats.sum()) if chunk.tokens else 0.0
        yield number * count + i, Part(chunk.text, logprobs, chunk.symbols, chunk.ending, nats)


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
