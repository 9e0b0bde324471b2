"""Samples of many requests, generated as lanes of one step; lanes join and leave between steps.

The symbols of a lane depend on its own state, sampling and random numbers alone, so its text does not depend
on the other lanes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from onward.data.vocabulary import END, Vocabulary
from onward.inference.generate import Ending, Sample
from onward.inference.step.decode import Decoder, uniform_numbers
from onward.inference.step.penalties import PenalizedSample, Penalties
from onward.inference.step.sampling import Sampling, never_drawn
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.layers.state import State
from onward.serve.engine.prompt_state import PromptState
from onward.serve.engine.tokens import Tokens, joined, log_probabilities, tokens_of

DELIVERY_SECONDS = 0.05
"""Seconds between two deliveries of text. Users do not notice the delay, and fewer, longer events cost
less."""


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """How to generate a sample.

    Attributes:
        length: the largest number of symbols.
        sampling: how each symbol is drawn.
        stop: the sample ends before any of these strings.
        seed: seed of the random numbers.
        number: number of the sample among the samples of this seed.
        logprobs: report this many of the likeliest symbols at each place; None: no log-probabilities.
        penalties: how the logits change first. Log-probabilities are those before.
    """

    length: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    seed: int = 0
    number: int = 0
    logprobs: int | None = None
    penalties: Penalties = field(default_factory=Penalties)


class TextChunk(NamedTuple):
    """A piece of a sample.

    Attributes:
        text: new text.
        tokens: new symbols (END too, if it was drawn) with their log-probabilities; None if there are no new
            symbols, or log-probabilities were not requested.
        symbols: number of symbols of the sample so far.
        ending: why the sample ended; None while it continues.
    """

    text: str
    tokens: Tokens | None
    symbols: int
    ending: Ending | None


class Lane:
    """A sample that is being generated.

    Args:
        vocabulary: vocabulary of the model.
        request: how to generate the sample.
        deliver: called on the model's thread with each new piece, or with the error that ended the sample.
        prompt: where the sample starts; None: with an empty prompt.

    Attributes:
        request: as given.
        memory: the memory of the prompt; None: no memory.
        place: the place in it after the symbols so far, (PLACE,).
        left: number of symbols that may still be drawn.
        is_done: the sample has ended, failed or was cancelled; nothing more is delivered.
        tokens: each symbol with log-probabilities that is not delivered yet.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        request: SampleRequest,
        deliver: Callable[[TextChunk | Exception], None],
        prompt: PromptState | None = None,
    ) -> None:
        self.request = request
        self.left = request.length
        self.is_done = False
        self.tokens: list[Tokens] = []
        self._deliver = deliver
        self._sample = Sample(vocabulary, request.stop)
        self._delivered_tokens = 0
        self._uniforms = uniform_numbers(request.seed, request.number)
        self.memory = prompt.memory if prompt else None
        self.place = self.memory.place() if self.memory else np.empty(0, np.uint32)
        self._penalized: PenalizedSample | None = None
        if request.penalties.have_effect:
            recent = prompt.recent.tolist() if prompt else ()
            self._penalized = PenalizedSample(request.penalties, len(vocabulary), recent)

    @property
    def needs_symbol(self) -> bool:
        return not self.is_done and self.left > 0

    @property
    def needs_logits(self) -> bool:
        """Whether its logits are reported, or change before a symbol is drawn."""
        return self.request.logprobs is not None or self.memory is not None or self._penalized is not None

    def penalize(self, logits: np.ndarray) -> None:
        """Changes the logits (V,) of the next symbol in place."""
        if self._penalized:
            self._penalized.apply(logits)

    def add_drawn(self, symbol: int) -> None:
        """Adds a symbol that was drawn to the penalties."""
        if self._penalized:
            self._penalized.append(symbol)

    def next_uniform(self) -> float:
        """The next random number of the sample, in [0, 1)."""
        return next(self._uniforms)

    def append(self, symbols: list[int]) -> None:
        """Appends symbols that were drawn, and delivers their text."""
        if self.is_done:
            return
        sample = self._sample
        text = sample.feed(symbols)
        if self.left <= 0 and sample.ending is None:
            text += sample.end("length")
        tokens: list[Tokens] = []
        if not sample.is_holding:
            count = sample.symbols - self._delivered_tokens + (sample.ending == "end")  # END is a token
            tokens, self.tokens = self.tokens[: max(0, count)], []
            self._delivered_tokens += len(tokens)
        if text or tokens or sample.ending:
            self.is_done = sample.ending is not None
            self._deliver(TextChunk(text, joined(tokens) if tokens else None, sample.symbols, sample.ending))

    def fail(self, error: Exception) -> None:
        """Ends the sample and delivers the error."""
        if not self.is_done:
            self.is_done = True
            self._deliver(error)

    def cancel(self) -> None:
        """Ends the sample without a delivery."""
        self.is_done = True


class Batcher:
    """The lanes of a model, and the step that advances all of them by one symbol.

    Args:
        trained: the model.
        stepper: stepper of the model. Nothing else may use it.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper) -> None:
        self._decoder = Decoder(stepper, never_drawn(ends=trained.has_ends))
        self._lanes: list[Lane] = []
        self._common_sampling: Sampling | None = None  # of all lanes, if none needs its logits
        self._drawn: list[np.ndarray] = []  # since the last delivery, each (B,)
        self._last_delivery = 0.0

    def __len__(self) -> int:
        """B."""
        return len(self._lanes)

    def add(self, lanes: list[Lane], logits: np.ndarray, state: State) -> None:
        """Adds n lanes.

        Args:
            lanes: the new lanes.
            logits: logits of their first symbols, (n, V).
            state: state of the n lanes.
        """
        self._deliver()
        self._remove_finished()
        self._decoder.add(logits, state)
        self._set_lanes([*self._lanes, *lanes])

    def step(self) -> int:
        """Draws one symbol for every lane, and returns how many."""
        drawn = self._draw()
        self._drawn.append(drawn)
        for lane in self._lanes:
            lane.left -= 1
        has_finished = bool((drawn == END).any()) or not all(lane.needs_symbol for lane in self._lanes)
        if has_finished or time.monotonic() - self._last_delivery > DELIVERY_SECONDS:
            self._deliver()
            self._remove_finished()
        return len(drawn)

    def fail(self, error: Exception) -> None:
        """Ends all lanes with an error."""
        lanes, self._drawn = self._lanes, []
        self._decoder.select(np.empty(0, np.int64))
        self._set_lanes([])
        for lane in lanes:
            lane.fail(error)

    def _set_lanes(self, lanes: list[Lane]) -> None:
        self._lanes = lanes
        samplings = {lane.request.sampling for lane in lanes}
        needs_logits = any(lane.needs_logits for lane in lanes)
        self._common_sampling = samplings.pop() if len(samplings) == 1 and not needs_logits else None

    def _draw(self) -> np.ndarray:
        """The next symbol of each lane, (B,)."""
        uniforms = np.array([lane.next_uniform() for lane in self._lanes])
        if self._common_sampling:
            return self._decoder.draw(uniforms, self._common_sampling).copy()
        logits = self._decoder.logits()
        with_memory: dict[int, list[int]] = {}
        for i, lane in enumerate(self._lanes):
            if lane.memory:
                with_memory.setdefault(id(lane.memory), []).append(i)
        for rows in with_memory.values():
            self._refine(logits, rows)
        with_logprobs = [i for i, lane in enumerate(self._lanes) if lane.request.logprobs is not None]
        log_rows = log_probabilities(logits[with_logprobs])
        for lane, row in zip(self._lanes, logits, strict=True):
            lane.penalize(row)
        drawn = self._decoder.draw_each(uniforms, [lane.request.sampling for lane in self._lanes])
        for i, row in zip(with_logprobs, log_rows, strict=True):
            lane = self._lanes[i]
            lane.tokens.append(tokens_of(row[None], [int(drawn[i])], lane.request.logprobs or 0))
        for lane, symbol in zip(self._lanes, drawn.tolist(), strict=True):
            lane.add_drawn(symbol)
        for rows in with_memory.values():
            self._advance(rows, drawn[rows])
        return drawn

    def _refine(self, logits: np.ndarray, rows: list[int]) -> None:
        """Replaces logits of lanes that share a memory by the logarithms of the mixed predictions."""
        memory = self._lanes[rows[0]].memory
        assert memory
        places = np.stack([self._lanes[i].place for i in rows])
        mixed = memory.refine(places, np.exp(log_probabilities(logits[rows])))
        logits[rows] = np.log(np.maximum(mixed, np.finfo(np.float32).tiny))

    def _advance(self, rows: list[int], drawn: np.ndarray) -> None:
        """Moves the places of lanes that share a memory on by the symbols that were drawn, (n,)."""
        memory = self._lanes[rows[0]].memory
        assert memory
        places = memory.advance(np.stack([self._lanes[i].place for i in rows]), drawn)
        for i, place in zip(rows, places, strict=True):
            self._lanes[i].place = place

    def _remove_finished(self) -> None:
        going = [i for i, lane in enumerate(self._lanes) if lane.needs_symbol]
        if len(going) < len(self._lanes):
            self._decoder.select(np.array(going, np.int64))
            self._set_lanes([self._lanes[i] for i in going])

    def _deliver(self) -> None:
        """Delivers the symbols that were drawn since the last delivery."""
        self._last_delivery = time.monotonic()
        if not self._drawn:
            return
        columns = np.stack(self._drawn, axis=1)  # (B, n)
        self._drawn = []
        for lane, symbols in zip(self._lanes, columns.tolist(), strict=True):
            lane.append(symbols)
