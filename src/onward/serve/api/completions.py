"""`POST /v1/completions`, as OpenAI's clients call it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from onward.data.vocabulary import Vocabulary
from onward.errors import OnwardError
from onward.inference.generate import Ending
from onward.inference.step.sampling import Sampling
from onward.inference.text_source import ids_of
from onward.serve.engine.batcher import SampleRequest, TextChunk
from onward.serve.engine.prefill import prefill
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.engine.tokens import Token, name_of
from onward.serve.http.errors import ApiError, as_api_error, to_json
from onward.serve.http.fields import Fields, whole
from onward.serve.http.limits import Limits
from onward.serve.http.lookup import LONGEST_NAME
from onward.serve.http.responses import Events, answer, body_of, unless_gone

_UNSUPPORTED = {
    "best_of": (1,),
    "suffix": ("",),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
}
"""What OpenAI has and onward has not, with the values that ask for nothing."""

_REASONS: dict[Ending, str] = {"length": "length", "stop": "stop", "end": "stop"}


@dataclass(frozen=True)
class Wanted:
    """A request for completions, checked.

    Attributes:
        prompts: each (N,).
        orders: of the samples of each prompt.
        logprobs: likeliest symbols to tell of; None: no log-probabilities.
        echo: the prompt is part of the text.
        stream, usage: send events, and a last one with the counts.
    """

    prompts: list[np.ndarray]
    orders: list[SampleRequest]
    logprobs: int | None
    echo: bool
    stream: bool
    usage: bool


@dataclass
class _Choice:
    """What one choice has so far."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    ending: Ending | None = None
    symbols: int = 0


async def completions(request: Request, models: ModelRegistry, limits: Limits) -> Response:
    """Answers a request."""
    fields = Fields(await body_of(request.receive, limits))
    served = models.get(fields.text("model", None, longest=LONGEST_NAME))
    wanted = wanted_of(fields, served.trained.vocabulary, limits)
    head = {
        "id": f"cmpl-{secrets.token_urlsafe(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
    }
    pieces = _pieces(served, wanted)
    if not wanted.stream:
        return answer(head | await unless_gone(request, _whole(pieces, served, wanted)))
    first = await unless_gone(request, anext(pieces))  # what can be refused is, before the answer begins
    return Events(_events(first, pieces, served, wanted, head), limits)


def wanted_of(fields: Fields, vocabulary: Vocabulary, limits: Limits) -> Wanted:
    """Checks the fields of a request."""
    for name, allowed in _UNSUPPORTED.items():
        if fields.values.get(name) is not None and fields.values[name] not in allowed:
            fields.refuse(name, f"left out, or {allowed[0]!r}: onward has no {name}")
    prompts = _prompts(fields, vocabulary, limits)
    n = fields.integer("n", 1, 1, limits.choices)
    if n * len(prompts) > limits.choices:
        fields.refuse("n", f"at most {limits.choices // len(prompts)} for {len(prompts)} prompts")
    logprobs = fields.values.get("logprobs")
    if not isinstance(logprobs, bool):  # of chat clients: true is 1
        logprobs = fields.integer("logprobs", None, 0, 20)
    seed = fields.integer("seed", None, -(1 << 63), (1 << 63) - 1)
    sampling = Sampling(
        temperature=fields.number("temperature", 1.0, 0, 100), top_p=fields.number("top_p", 1.0, 0, 1)
    )
    order = SampleRequest(
        length=fields.integer("max_tokens", 16, 0, limits.max_tokens),
        sampling=sampling,
        stop=_stop(fields),
        seed=secrets.randbits(62) if seed is None else seed % (1 << 64),
        logprobs=None if logprobs is None or logprobs is False else int(logprobs),
    )
    options = fields.values.get("stream_options")
    return Wanted(
        prompts,
        [replace(order, number=i) for i in range(n)],
        order.logprobs,
        fields.flag("echo"),
        fields.flag("stream"),
        isinstance(options, dict) and options.get("include_usage") is True,
    )


def _prompts(fields: Fields, vocabulary: Vocabulary, limits: Limits) -> list[np.ndarray]:
    """The prompts as ids."""
    value = fields.values.get("prompt")
    value = "" if value is None else _with_ids(value, 2)
    single = isinstance(value, str) or (isinstance(value, list) and value and all(map(_is_id, value)))
    given = [value] if single else value
    if not isinstance(given, list) or not given or not all(_is_prompt(prompt) for prompt in given):
        fields.refuse("prompt", "a text, a list of texts, a list of ids, or a list of lists of ids")
    if len(given) > limits.choices:
        fields.refuse("prompt", f"at most {limits.choices} prompts")
    prompts = []
    for prompt in given:
        if isinstance(prompt, list) and prompt and not max(prompt) < len(vocabulary):
            fields.refuse("prompt", f"ids below {len(vocabulary)}")
        prompts.append(ids_of(prompt, vocabulary))
    size = sum(map(len, prompts))
    if size > limits.prompt_symbols:
        message = f"expected prompts of at most {limits.prompt_symbols} symbols, got {size}"
        raise ApiError(
            413, "too_large", message, param="prompt", hint="send fewer prompts, or their ends alone"
        )
    return prompts


def _with_ids(value: Any, depth: int) -> Any:
    """Lists so deep, with whole numbers as `int`."""
    return (
        [_with_ids(each, depth - 1) for each in value] if isinstance(value, list) and depth else whole(value)
    )


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_prompt(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(map(_is_id, value)))


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.values.get("stop")
    given = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(s, str) and 0 < len(s) <= 1000 for s in given):
        fields.refuse("stop", "a text or a list of texts, none of them empty or longer than 1000 characters")
    if len(given) > 16:
        fields.refuse("stop", "at most 16 texts")
    return tuple(given)


async def _pieces(served: ServedModel, wanted: Wanted) -> AsyncIterator[tuple[int, TextChunk]]:
    """What each choice gains: first the prompt, if it is echoed, then what is written."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    tasks = [
        asyncio.ensure_future(_into(inbox, _of_prompt(served, wanted, number)))
        for number in range(len(wanted.prompts))
    ]
    going = len(tasks)
    try:
        while going:
            message = await inbox.get()
            if message is None:
                going -= 1
            elif isinstance(message, Exception):
                raise message
            else:
                yield message
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _into(inbox: asyncio.Queue[Any], pieces: AsyncIterator[tuple[int, TextChunk]]) -> None:
    """Puts pieces into a queue, and None, or an error, at their end."""
    try:
        async for piece in pieces:
            inbox.put_nowait(piece)
        inbox.put_nowait(None)
    except Exception as error:  # raised where the pieces are read
        inbox.put_nowait(error)


async def _of_prompt(
    served: ServedModel, wanted: Wanted, number: int
) -> AsyncIterator[tuple[int, TextChunk]]:
    """The pieces of the choices of a prompt."""
    engine, ids, count = served.engine, wanted.prompts[number], len(wanted.orders)
    top = wanted.logprobs if wanted.echo else None
    primed, tokens = await engine.run(prefill(served.trained, ids, top))
    served.metrics.symbols_read.add(len(ids))
    if wanted.echo:
        text = served.trained.vocabulary.decode(ids)
        for i in range(count):
            yield number * count + i, TextChunk(text, tokens, 0, None)
    async for i, piece in engine.write(primed, wanted.orders):
        yield number * count + i, piece


async def _whole(
    pieces: AsyncIterator[tuple[int, TextChunk]], served: ServedModel, wanted: Wanted
) -> dict[str, Any]:
    """All choices, and the counts."""
    choices = [_Choice() for _ in range(len(wanted.prompts) * len(wanted.orders))]
    async for i, piece in pieces:
        choice = choices[i]
        choice.text += piece.text
        choice.tokens += piece.tokens
        choice.ending, choice.symbols = piece.ending, piece.symbols
    shown = [
        _shown(i, choice.text, _logprobs(served, wanted, choice.tokens, 0), choice.ending)
        for i, choice in enumerate(choices)
    ]
    return {"choices": shown, "usage": _usage(wanted, sum(choice.symbols for choice in choices))}


async def _events(
    first: tuple[int, TextChunk],
    pieces: AsyncIterator[tuple[int, TextChunk]],
    served: ServedModel,
    wanted: Wanted,
    head: dict[str, Any],
) -> AsyncIterator[dict[str, Any]]:
    """An event for each piece; an error is the last one."""
    offsets: dict[int, int] = {}
    symbols: dict[int, int] = {}
    try:
        async for i, piece in _and(first, pieces):
            logprobs = _logprobs(served, wanted, piece.tokens, offsets.get(i, 0))
            offsets[i] = offsets.get(i, 0) + len(piece.text)
            symbols[i] = piece.symbols
            event = head | {"choices": [_shown(i, piece.text, logprobs, piece.ending)]}
            yield event | ({"usage": None} if wanted.usage else {})
        if wanted.usage:
            yield head | {"choices": [], "usage": _usage(wanted, sum(symbols.values()))}
    except OnwardError as error:
        yield to_json(as_api_error(error))
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


async def _and(
    first: tuple[int, TextChunk], pieces: AsyncIterator[tuple[int, TextChunk]]
) -> AsyncIterator[tuple[int, TextChunk]]:
    yield first
    async for piece in pieces:
        yield piece


def _shown(index: int, text: str, logprobs: dict[str, Any] | None, ending: Ending | None) -> dict[str, Any]:
    reason = _REASONS[ending] if ending else None
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason}


def _usage(wanted: Wanted, written: int) -> dict[str, int]:
    read_ = sum(map(len, wanted.prompts))
    return {"prompt_tokens": read_, "completion_tokens": written, "total_tokens": read_ + written}


def _logprobs(
    served: ServedModel, wanted: Wanted, tokens: Sequence[Token], offset: int
) -> dict[str, Any] | None:
    """The symbols of a text that begins at an offset, with their log-probabilities."""
    if wanted.logprobs is None:
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
