"""Fills in the middle: `POST /infill` as llama.cpp's clients send it, and completions with a suffix."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from onward.inference.completion.options import Completion
from onward.inference.step.sampling import Sampling
from onward.serve.api.completion_answer import AnswerShape, Part, Parts
from onward.serve.api.fim_markers import MarkedPrompt, parse_markers
from onward.serve.api.operation import operation
from onward.serve.api.requests import CompletionRequest, InfillRequest, seed_of
from onward.serve.api.responses import InfillAnswer, InfillTimings
from onward.serve.engine.infilling import MOST_CANDIDATES, Infilled, InfillPrompt, choose, infill_prompt
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.http.errors import ApiError, invalid_value
from onward.serve.http.limits import Limits
from onward.serve.http.responses import json_response, read_body, until_client_leaves
from onward.serve.http.validation import parsed

_REST_OF_LINE = 200
"""Number of symbols of a candidate if the client sets no limit."""


@dataclass(frozen=True, kw_only=True)
class Infilling:
    """A request to fill in a text.

    Attributes:
        prompt: what to fill in.
        sampling, count, seed: which candidates the answer has (see `choose`).
        stop: texts that end a candidate.
    """

    prompt: InfillPrompt
    sampling: Sampling
    count: int
    seed: int
    stop: Sequence[str]

    async def run(self, served: ServedModel) -> tuple[Infilled, list[Completion]]:
        """Returns the result of the search, and the candidates of the answer."""
        found = await served.engine.run(infill_prompt(served.engine.prompts, self.prompt))
        served.metrics.symbols_read.inc(found.symbols_read)
        candidates = _ended(found.candidates, self.stop)
        return found, choose(candidates, self.sampling, self.count, self.seed) or [Completion("", 1.0)]


@operation("POST", "/infill", id="infill", body=InfillRequest, response=InfillAnswer | list[InfillAnswer])
async def infill(request: Request, models: ModelRegistry, limits: Limits) -> Response:
    """Fill in the text between a prefix and a suffix."""
    asked = await parsed(InfillRequest, await read_body(request.receive, limits), limits)
    served = models.get(asked.model or None)  # llama.vim sends "" if its user names no model
    infilling = Infilling(
        prompt=InfillPrompt(
            prefix=asked.input_prefix + asked.prompt,
            suffix=asked.input_suffix,
            extra=tuple(each.text for each in asked.input_extra),
            remembers=asked.learn == "memory",
            length=_REST_OF_LINE if asked.n_predict < 0 else asked.n_predict,
            seconds=asked.t_max_predict_ms / 1000 or None,
        ),
        sampling=asked.sampling(),
        count=asked.n_cmpl,
        seed=seed_of(None if asked.seed < 0 else asked.seed),
        stop=asked.stops(),
    )
    _check_length(infilling.prompt, "input_prefix", limits)
    found, chosen = await until_client_leaves(request.receive, infilling.run(served))
    answers = [
        _selected(_answer(i, candidate, found, served, infilling.prompt.length), asked.response_fields)
        for i, candidate in enumerate(chosen)
    ]
    return json_response(answers if asked.n_cmpl > 1 else answers[0])


def infilling_of(asked: CompletionRequest, limits: Limits) -> Infilling | None:
    """Returns what a completion request asks to fill in; None if its prompt is to be continued.

    Raises:
        ApiError: a field has no meaning with a suffix, or the text is too long.
    """
    marked = parse_markers(asked.prompt) if isinstance(asked.prompt, str) and not asked.suffix else None
    if not (asked.suffix or marked):
        return None
    prompts = asked.prompts()
    if len(prompts) > 1 or not isinstance(prompts[0], str):
        raise invalid_value("prompt", "one text with a suffix", asked.prompt)
    _refuse_fields(asked)
    context, prefix, suffix = marked or MarkedPrompt("", prompts[0], asked.suffix)
    prompt = InfillPrompt(
        prefix=prefix,
        suffix=suffix,
        extra=(context,) if context else (),
        remembers=asked.learn != "none",
        length=asked.max_tokens,
    )
    _check_length(prompt, "prompt", limits)
    return Infilling(
        prompt=prompt,
        sampling=asked.sampling(),
        count=asked.n,
        seed=seed_of(asked.seed),
        stop=asked.stops(),
    )


async def infilled_parts(served: ServedModel, infilling: Infilling) -> tuple[Parts, AnswerShape]:
    """Returns the candidates as the parts of a completion, and the shape of the answer."""
    found, chosen = await infilling.run(served)
    vocabulary = served.trained.vocabulary

    async def parts() -> AsyncGenerator[tuple[int, Part]]:
        for i, candidate in enumerate(chosen):
            symbols = len(vocabulary.encode(candidate.text))
            ending = "length" if symbols >= infilling.prompt.length else "stop"
            yield i, Part(candidate.text, symbols=symbols, ending=ending)

    shape = AnswerShape(prompts=1, samples=len(chosen), kept=len(chosen), prompt_symbols=found.prompt_symbols)
    return parts(), shape


def _refuse_fields(asked: CompletionRequest) -> None:
    """Raises an error for a field that has no meaning with a suffix."""
    neutral: dict[str, Any] = {
        "echo": False,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "repeat_penalty": 1,
        "logit_bias": {},
    }
    for name, value in neutral.items():
        if (found := getattr(asked, name)) != value:
            raise invalid_value(name, f"{json.dumps(value)} with a suffix", found)
    if asked.logprobs is not None and asked.logprobs is not False:
        raise invalid_value("logprobs", "false with a suffix", asked.logprobs)
    if asked.learn in ("weights", "both"):
        raise invalid_value("learn", '"memory" or "none" with a suffix', asked.learn)
    if asked.n > MOST_CANDIDATES:
        raise invalid_value("n", f"at most {MOST_CANDIDATES} with a suffix", asked.n)
    if asked.best_of is not None and not asked.n <= asked.best_of <= MOST_CANDIDATES:
        raise invalid_value("best_of", f"from {asked.n} to {MOST_CANDIDATES} with a suffix", asked.best_of)


def _check_length(prompt: InfillPrompt, param: str, limits: Limits) -> None:
    size = len(prompt.prefix) + len(prompt.suffix) + sum(map(len, prompt.extra))
    if size > limits.text_characters:
        message = f"expected texts of at most {limits.text_characters:,} characters in all, got {size:,}"
        raise ApiError(413, "too_large", message, param=param, hint="send less text around the cursor")


def _ended(candidates: Sequence[Completion], stops: Sequence[str]) -> list[Completion]:
    """Returns the candidates up to the first stop string in each. Equal ones become one."""
    ended: dict[str, float] = {}
    for candidate in candidates:
        text = candidate.text
        for stop in stops:
            text = text.partition(stop)[0]
        ended[text] = ended.get(text, 0.0) + candidate.probability
    return [Completion(text, min(1.0, probability)) for text, probability in ended.items()]


def _answer(
    index: int, candidate: Completion, found: Infilled, served: ServedModel, length: int
) -> InfillAnswer:
    symbols = len(served.trained.vocabulary.encode(candidate.text))
    return {
        "index": index,
        "content": candidate.text,
        "probability": candidate.probability,
        "model": served.name,
        "stop": True,
        "stop_type": "limit" if symbols >= length else "eos",
        "tokens_predicted": symbols,
        "tokens_evaluated": found.prompt_symbols,
        "tokens_cached": found.prompt_symbols,
        "truncated": False,
        "timings": _timings(found, symbols),
    }


def _timings(found: Infilled, symbols: int) -> InfillTimings:
    read_ms, search_ms = 1000 * found.read_seconds, 1000 * found.search_seconds
    return {
        "prompt_n": found.symbols_read,
        "prompt_ms": read_ms,
        "prompt_per_token_ms": read_ms / max(1, found.symbols_read),
        "prompt_per_second": found.symbols_read / max(1e-9, found.read_seconds),
        "predicted_n": symbols,
        "predicted_ms": search_ms,
        "predicted_per_token_ms": search_ms / max(1, symbols),
        "predicted_per_second": symbols / max(1e-9, found.search_seconds),
    }


def _selected(answer: InfillAnswer, fields: Sequence[str] | None) -> dict[str, Any]:
    """Returns the fields that the client wants. A field within `timings` gets its whole path as its name."""
    if fields is None:
        return {**answer}
    whole: dict[str, Any] = {**answer}
    flat = whole | {f"timings/{name}": value for name, value in whole["timings"].items()}
    return {name: flat[name] for name in fields if name in flat}
