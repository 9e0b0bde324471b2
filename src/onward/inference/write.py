"""Writing: a prime is fed, then symbols are drawn one after another, each fed before the next is drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from onward.data.vocabulary import BEGIN, END, StreamDecoder, Vocabulary
from onward.errors import InputError
from onward.inference.distribution import Sampling, never_written
from onward.layers.state import State, select_lanes
from onward.model import LanguageModel

_PRIME_BLOCK = 1024
_CHANCES = 512


@dataclass(frozen=True)
class Piece:
    """A part of a text being written.

    Attributes:
        sample: which of the texts, from 0.
        text: its next characters; may be empty.
        symbols: how many symbols were drawn for it so far.
    """

    sample: int
    text: str
    symbols: int


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What to write.

    Attributes:
        prime: the text that is fed first; it is not written again.
        length: symbols to draw, at most.
        sampling: how.
        seed: of the draws. A sample depends on the seed and its number, not on how many others there are.
        stop: texts that end a sample where they appear; they are not written.
        samples: how many texts, side by side.
        ignore_end: whether the end of a document is left out, instead of ending a sample.
    """

    prime: str | bytes = ""
    length: int = 200
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop: Sequence[str] = ()
    samples: int = 1
    ignore_end: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot be written."""
        if self.length < 0 or self.samples < 1 or self.seed < 0:
            found = f"{self.length}, {self.samples} and {self.seed}"
            raise InputError(f"length is at least 0, samples 1 and seed 0, got {found}")
        if not all(self.stop):
            raise InputError("a stop text has at least one character, got an empty one")


@torch.inference_mode()
def write(model: LanguageModel, vocabulary: Vocabulary, what: Writing) -> Iterator[Piece]:
    """Writes piece by piece; takes constant memory, however long the text.

    Yields:
        The pieces of all samples in the order in which they are drawn, at least one a sample.
    """
    logits, state = _primed(model, vocabulary, what)
    texts = [_Text(i, vocabulary, what) for i in range(what.samples)]
    barred = never_written(vocabulary, end=not what.ignore_end)
    for _ in range(what.length):
        going = [text for text in texts if not text.ended]
        if not going:
            break
        scores = logits.numpy()  # (lanes, V)
        scores[:, barred] = -np.inf
        drawn = [text.draw(row) for text, row in zip(going, scores, strict=True)]
        yield from (text.take(symbol) for text, symbol in zip(going, drawn, strict=True))
        lanes = [i for i, text in enumerate(going) if not text.ended]
        if lanes:
            if len(lanes) < len(going):
                state = select_lanes(state, torch.tensor(lanes))
            ids = torch.tensor([drawn[i] for i in lanes])[None]  # (1, lanes)
            after, state = model(ids, state)
            logits = after[0]
    yield from (text.finish() for text in texts)


def _primed(model: LanguageModel, vocabulary: Vocabulary, what: Writing) -> tuple[Tensor, State]:
    """Logits (samples, V) and state after the prime."""
    prime = torch.from_numpy(vocabulary.encode(what.prime).astype(np.int64))[:, None]
    logits, state = model(torch.tensor([[BEGIN]]), model.initial_state(1))
    for block in prime.split(_PRIME_BLOCK):
        logits, state = model(block, state) if len(block) else (logits, state)
    first = torch.zeros(what.samples, dtype=torch.int64)
    return logits[-1][first], select_lanes(state, first)


class _Text:
    """One of the texts being written."""

    def __init__(self, sample: int, vocabulary: Vocabulary, what: Writing) -> None:
        self._sample, self._sampling = sample, what.sampling
        self._random = np.random.default_rng([what.seed, sample])
        self._chances: Iterator[float] = iter(())
        self._decoder: StreamDecoder = vocabulary.decoder()
        self._stops = _Stops(what.stop)
        self._symbols, self.ended = 0, False

    def draw(self, logits: np.ndarray) -> int:
        """The next symbol."""
        chance = next(self._chances, None)
        if chance is None:
            self._chances = iter(self._random.random(_CHANCES).tolist())
            chance = next(self._chances)
        return self._sampling.draw(logits, chance)

    def take(self, symbol: int) -> Piece:
        """What a symbol adds to the text; less than it holds while a stop text may have begun."""
        self._symbols += 1
        text = self._stops.feed(self._decoder.feed([symbol]))
        self.ended = symbol == END or self._stops.found
        return Piece(self._sample, text, self._symbols)

    def finish(self) -> Piece:
        """What was held back, when nothing more comes."""
        text = self._stops.feed(self._decoder.finish()) + self._stops.rest()
        return Piece(self._sample, text, self._symbols)


class _Stops:
    """Lets a text through up to the first of the stop texts, and holds back what may be the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held = stops, ""
        self._longest = max(map(len, stops), default=1) - 1  # characters that may have to be held back
        self.found = False

    def feed(self, text: str) -> str:
        """What can be let through now."""
        text = self._held + text
        found = [at for at in map(text.find, self._stops) if at >= 0]
        if self.found or found:
            self._held, before = "", "" if self.found else text[: min(found)]
            self.found = True
            return before
        ends = (text[-n:] for n in range(min(self._longest, len(text)), 0, -1))
        self._held = next((end for end in ends if any(stop.startswith(end) for stop in self._stops)), "")
        return text[: len(text) - len(self._held)]

    def rest(self) -> str:
        """What was held back, when nothing more comes."""
        rest, self._held = self._held, ""
        return rest
