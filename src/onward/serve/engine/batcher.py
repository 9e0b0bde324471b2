"""Samples of many requests, written side by side as lanes of one step: they join and leave between steps.

What a lane draws depends on its own state, sampling and random stream alone, so its text is the same
whatever its neighbours.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from onward.data.vocabulary import END, Vocabulary
from onward.inference.generate import Ending, Sample
from onward.inference.step.sampling import Sampling, never_drawn, random_stream
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.layers.state import State, join_lanes
from onward.serve.engine.tokens import Token, log_probabilities, token_of

TICK = 0.05
"""Seconds between two moments at which texts are handed over: sooner than an eye can tell, and an event of a
stream carries several symbols, which costs no more than one."""

_CHANCES = 256


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """How a sample is written.

    Attributes:
        length: symbols, at most.
        sampling: how each is drawn.
        stop: strings before which it ends.
        seed: of its random stream.
        number: of the sample among those of the seed.
        logprobs: likeliest symbols to tell of in each place; None: no log-probabilities.
    """

    length: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    seed: int = 0
    number: int = 0
    logprobs: int | None = None


class TextChunk(NamedTuple):
    """What a sample gained: its text, the symbols (and the END it drew) with their log-probabilities if
    they were asked for, how many symbols it has in all, and why it ended, if it did."""

    text: str
    tokens: list[Token]
    symbols: int
    ending: Ending | None


class Lane:
    """One sample while it is written.

    Args:
        vocabulary: what ids mean.
        order: how it is written.
        deliver: is given what it gained, or why it failed, in the thread of the model.

    Attributes:
        order, deliver: as given.
        left: symbols that it may still get.
        is_wanted: set to False, it ends without a word; False once it was told that it ended, so nobody is
            told twice.
    """

    def __init__(
        self, vocabulary: Vocabulary, order: SampleRequest, deliver: Callable[[TextChunk | Exception], None]
    ) -> None:
        self.order, self.deliver = order, deliver
        self.left = order.length
        self.is_wanted = True
        self.tokens: list[Token] = []
        self._sample = Sample(vocabulary, order.stop)
        self._told = 0
        self._chances = _chances(order.seed, order.number)

    @property
    def is_going(self) -> bool:
        """Whether it wants another symbol."""
        return self.is_wanted and self.left > 0

    def chance(self) -> float:
        """The next number of its random stream, in [0, 1)."""
        return next(self._chances)

    def gain(self, symbols: list[int]) -> None:
        """Takes what was drawn for it, and delivers the text of it."""
        if not self.is_wanted:
            return
        sample = self._sample
        text = sample.feed(symbols)
        if self.left <= 0 and sample.ending is None:
            text += sample.end("length")
        tokens: list[Token] = []
        if not sample.is_holding:
            count = sample.symbols - self._told + (sample.ending == "end")  # END is told too
            tokens, self.tokens = self.tokens[: max(0, count)], []
            self._told += len(tokens)
        if text or tokens or sample.ending:
            self._tell(
                TextChunk(text, tokens, sample.symbols, sample.ending), is_last=sample.ending is not None
            )

    def fail(self, error: Exception) -> None:
        """Ends it by an error."""
        self._tell(error, is_last=True)

    def _tell(self, gained: TextChunk | Exception, *, is_last: bool) -> None:
        if self.is_wanted:
            self.is_wanted = not is_last
            self.deliver(gained)


class Batcher:
    """The lanes of a model, and the step that carries all of them one symbol further.

    Args:
        trained: the model.
        stepper: of it, for nobody else.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper) -> None:
        self._stepper = stepper
        self._never = never_drawn(ends=trained.has_ends)
        self._lanes: list[Lane] = []
        self._alike: Sampling | None = None  # how all lanes draw, where nothing else is asked of any
        self._logits = np.empty((0, len(trained.vocabulary)), np.float32)
        self._unread: np.ndarray | None = (
            None  # (B,), drawn and not stepped over yet; None: the logits are after all
        )
        self._drawn: list[np.ndarray] = []  # since the last delivery, each (B,)
        self._delivered = 0.0

    def __len__(self) -> int:
        """B."""
        return len(self._lanes)

    def add(self, lanes: list[Lane], logits: np.ndarray, state: State) -> None:
        """Lanes that go on from a state of as many, with the logits (n, V) of their next symbols."""
        self._deliver()
        self._select()
        logits = np.concatenate([self._after(), logits])
        self._stepper.state = join_lanes([self._stepper.state, state]) if self._lanes else state
        self._logits = logits
        self._set([*self._lanes, *lanes])

    def step(self) -> int:
        """One symbol for every lane; how many that were."""
        drawn = self._unread = self._draw()
        self._drawn.append(drawn)
        count, ended = len(drawn), drawn == END
        for lane in self._lanes:
            lane.left -= 1
        done = bool(ended.any()) or any(lane.left <= 0 or not lane.is_wanted for lane in self._lanes)
        if done or time.monotonic() - self._delivered > TICK:
            self._deliver()
            self._select()
        return count

    def drop(self) -> list[Lane]:
        """Ends all lanes at once, and gives them."""
        lanes, self._drawn = self._lanes, []
        self._logits, self._unread = self._logits[:0], None
        self._set([])
        return lanes

    def _set(self, lanes: list[Lane]) -> None:
        """Who is written."""
        self._lanes = lanes
        samplings = {lane.order.sampling for lane in lanes}
        is_told = any(lane.order.logprobs is not None for lane in lanes)
        self._alike = samplings.pop() if len(samplings) == 1 and not is_told else None

    def _after(self) -> np.ndarray:
        """Logits (B, V) after all that was drawn."""
        if self._unread is not None:
            self._logits, self._unread = self._stepper.step(self._unread), None
        return self._logits

    def _draw(self) -> np.ndarray:
        """The next symbol of each lane, (B,)."""
        chances = np.array([lane.chance() for lane in self._lanes])
        if self._alike and self._unread is not None:  # one call in place of three
            return self._stepper.write(self._unread, chances, self._alike, self._never).copy()
        logits = self._after()
        telling = [i for i, lane in enumerate(self._lanes) if lane.order.logprobs is not None]
        logs = log_probabilities(logits[telling])
        logits[:, : self._never] = -np.inf
        drawn = self._drawn_from(logits, chances)
        for i, row in zip(telling, logs, strict=True):
            lane = self._lanes[i]
            lane.tokens.append(token_of(row, int(drawn[i]), lane.order.logprobs or 0))
        return drawn

    def _drawn_from(self, logits: np.ndarray, chances: np.ndarray) -> np.ndarray:
        """What each lane draws from its logits (B, V), (B,)."""
        samplings = [lane.order.sampling for lane in self._lanes]
        drawn = np.empty(len(chances), np.int64)
        for sampling in set(samplings):
            alike = np.array([other == sampling for other in samplings])
            drawn[alike] = sampling.draw(logits[alike], chances[alike])
        return drawn

    def _select(self) -> None:
        """Keeps the lanes that go on."""
        going = [i for i, lane in enumerate(self._lanes) if lane.is_going]
        if len(going) == len(self._lanes):
            return
        unread, logits, lanes = self._unread, self._logits, self.drop()
        if going:
            if unread is None:
                self._logits = logits[going]
            else:
                self._unread = unread[going]
            self._stepper.select(np.array(going))
            self._set([lanes[i] for i in going])

    def _deliver(self) -> None:
        """Hands over what the lanes gained."""
        self._delivered = time.monotonic()
        if not self._drawn:
            return
        columns = np.stack(self._drawn, axis=1)  # (B, n)
        self._drawn = []
        for lane, symbols in zip(self._lanes, columns.tolist(), strict=True):
            lane.gain(symbols)


def _chances(seed: int, number: int) -> Iterator[float]:
    """The random stream of a sample: that of `onward write` for the same seed."""
    stream = random_stream(seed, number)
    while True:
        yield from stream.random(_CHANCES).tolist()
