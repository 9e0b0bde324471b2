"""Fills in the middle of a text, on the model's thread."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from onward.inference.completion.infill import HEAD, InfillOptions, infill
from onward.inference.completion.options import CompleteOptions, Completion
from onward.inference.completion.search import LONGEST_CHARACTER
from onward.inference.step.decode import uniform_numbers
from onward.inference.step.sampling import Sampling
from onward.serve.engine.engine import SlicedWork
from onward.serve.engine.prompt_cache import PromptCache

MOST_CANDIDATES = 16
"""Maximum number of candidates of an answer."""


@dataclass(frozen=True, kw_only=True)
class InfillPrompt:
    """What to fill in.

    Attributes:
        prefix, suffix: the text before and after the cursor.
        extra: parts of other files, which the memory counts.
        remembers: whether a memory counts `extra`, the suffix and the prefix.
        length: maximum number of symbols.
        seconds: time for the search after the prefix was read; None: no limit.
    """

    prefix: str
    suffix: str = ""
    extra: Sequence[str] = ()
    remembers: bool = True
    length: int
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Infilled:
    """The result.

    Attributes:
        candidates: texts between the prefix and the suffix, the likeliest first; none if `length` is 0.
        prompt_symbols: number of symbols of the prefix.
        symbols_read: number of symbols that the model read now; the others were read before.
        read_seconds, search_seconds: time to read the prefix, and to find the candidates.
    """

    candidates: Sequence[Completion] = field(default_factory=tuple)
    prompt_symbols: int
    symbols_read: int
    read_seconds: float
    search_seconds: float = 0.0


def infill_prompt(cache: PromptCache, prompt: InfillPrompt) -> SlicedWork[Infilled]:
    """Reads the prefix, and finds what may come between it and the suffix.

    Raises:
        InputError: the symbols of the model are words.
    """
    started = time.perf_counter()
    vocabulary = cache.trained.vocabulary
    cached = cache.take(prompt.prefix, remembers=prompt.remembers)
    yield from cached.count(prompt.extra, prompt.suffix)
    read = yield from cached.read(prompt.prefix)
    seconds = time.perf_counter() - started
    result = Infilled(
        prompt_symbols=len(vocabulary.encode(prompt.prefix)), symbols_read=read, read_seconds=seconds
    )
    if prompt.length:
        options = InfillOptions(n=MOST_CANDIDATES, length=prompt.length, seconds=prompt.seconds)
        start = cached.typed.session.search_start(CompleteOptions())
        head = vocabulary.encode(prompt.suffix[: HEAD * LONGEST_CHARACTER])
        found = yield from infill(cache.stepper, vocabulary, start, head, options)
        searching = time.perf_counter() - started - seconds
        result = replace(result, candidates=found, search_seconds=searching)
    cache.put(cached)
    return result


def choose(candidates: Sequence[Completion], sampling: Sampling, count: int, seed: int) -> list[Completion]:
    """Returns different candidates. They are drawn by their probabilities, as symbols are drawn.

    Args:
        candidates: the candidates.
        sampling: how they are drawn; at temperature 0, the first ones are returned.
        count: maximum number of them.
        seed: seed of the random numbers.
    """
    left, chosen = [*candidates], list[Completion]()
    uniforms = uniform_numbers(seed, 0)
    while left and len(chosen) < count:
        place = 0
        if sampling.temperature > 0:
            logits = np.log(np.array([[each.probability for each in left]], np.float32))
            place = int(sampling.draw(logits, np.array([next(uniforms)]))[0])
        chosen.append(left.pop(place))
    return chosen
