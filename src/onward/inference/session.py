"""A model that listens: it is fed symbols, says what it expects, and can be forked and taken back."""

import copy
from collections.abc import Sequence
from typing import NamedTuple, Unpack

import numpy as np
import torch

from onward.data.vocabulary import BEGIN, Vocabulary
from onward.errors import InputError
from onward.inference.adapt import Adapter, Adapting
from onward.inference.completion.boundaries import Prefix, unfinished
from onward.inference.completion.options import CompleteOptions, Completing, Completions
from onward.inference.completion.search import Begun, begun_word, complete
from onward.inference.distribution import Distribution
from onward.inference.history import History, Moment
from onward.inference.prediction import initial_state, predict
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.sampling import SMALLEST_TEMPERATURE
from onward.inference.step.stepper import Stepper
from onward.inference.text_source import Readable, ids_of
from onward.layers.state import State, join_lanes, map_state
from onward.model import LanguageModel, block_length, losses
from onward.shapes import Logits

REACH = 1 << 16
"""Symbols that a session can take back, unless it is told otherwise."""


class _Lesson(NamedTuple):
    """What a session will learn from: the state before it, its symbols, whether it was taken back."""

    state: State
    ids: tuple[int, ...] = ()
    is_lost: bool = False

    def longer(self, ids: np.ndarray) -> "_Lesson":
        return self._replace(ids=(*self.ids, *ids.tolist()))

    def shorter(self, symbols: int) -> "_Lesson":
        kept = len(self.ids) - symbols
        return self._replace(ids=self.ids[: max(0, kept)], is_lost=kept < 0)


class Session:
    """A model and its state, one stream. A new session has been fed BEGIN, the start of a text.

    The state at earlier moments is kept for moments that lie the further apart the longer ago they are,
    together with the last symbols, so that `rollback` has few symbols to read again. What that takes is
    bounded: some hundred states, and four bytes for each symbol that can be taken back and as many more.

    Args:
        model: is used in evaluation mode.
        vocabulary: what its ids mean.
        reach: how many symbols can be taken back at least; 0 keeps nothing.
        weights: how a symbol that is fed by itself reads the model's matrices (see `WeightType`); several at
            once are read in one block, with the weights as they are.
        stepper: of this model, which other sessions may use as well, one at a time; None: one of its own.

    Attributes:
        position: symbols fed so far.
        state: where it stands.
        logits: of the next symbol (1, 1, V).
        adapter: what learns from what is fed, once `adapt` was called.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        *,
        reach: int = REACH,
        weights: WeightType = "fp32",
        stepper: Stepper | None = None,
    ) -> None:
        if reach < 0:
            raise InputError(f"expected a reach of 0 symbols or more, got {reach}")
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.position = 0
        self.adapter: Adapter | None = None
        self._weights: WeightType = weights
        self.logits, self.state = predict(model, torch.tensor([[BEGIN]]), initial_state(model, 1))
        self._stepper = stepper or Stepper(model, self.state, weights)
        self._trail = History(Moment(0, self.state, self.logits), reach)

    def feed(self, symbols: Readable, *, learns: bool = True) -> np.ndarray:
        """The surprise at each symbol in nats (N,) in float64, each computed before the symbol was read.

        Args:
            symbols: a text, its bytes, or ids. Unknown characters are read as UNKNOWN. Text is encoded as it
                comes: a word, or a character of several bytes, should not be cut between two calls.
            learns: false: once `adapt` was called, nothing is learned from these symbols, nor from those
                before them that were not yet a whole block.

        Raises:
            VocabularyError: ids that the vocabulary does not have.
        """
        ids = ids_of(symbols, self.vocabulary).astype(np.int64, copy=False)
        nats = np.empty(len(ids))
        start = 0
        while start < len(ids):
            part = ids[start : start + self._room(learns)]
            nats[start : start + len(part)] = self._read(part)
            self._trail.append(part, Moment(self.position, self.state, self.logits))
            start += len(part)
            if self.adapter and learns:
                self._lesson = self._lesson.longer(part)
                self._learn(self.adapter)
        if self.adapter and not learns and len(ids):
            self._lesson = _Lesson(self.state)
        return nats

    def adapt(self, adapting: Adapting | None = None, learned: bytes | None = None) -> None:
        """From here on learns from what is fed, a block at a time, each after it was scored.

        The model itself is left as it is: what is learned belongs to this session. `session.adapter` can
        save it (`to_bytes`); `forget` goes back to the model.

        Args:
            adapting: how.
            learned: what another session of this model had learned, as its adapter gave it.

        Raises:
            ArtefactError: `learned` is damaged, or of another model.
        """
        adapter = Adapter(self.adapter.base if self.adapter else self.model, adapting)
        if learned is not None:
            adapter.restore(learned)
        self._attend(adapter)

    def forget(self) -> None:
        """Drops what was learned; learning goes on from the model as it was trained."""
        if self.adapter:
            self.adapter.reset()
            self._attend(self.adapter)

    @torch.inference_mode()
    def next_distribution(self, temperature: float | int = 1.0) -> Distribution:
        """The probabilities of the next symbol.

        Args:
            temperature: divides the logits; below 1 the likely symbols become likelier.

        Raises:
            InputError: the temperature is not above 0.
        """
        if not 0 < temperature < float("inf"):
            raise InputError(f"expected a temperature above 0, got {temperature}")
        probabilities = torch.softmax(self.logits[0, 0] / max(temperature, SMALLEST_TEMPERATURE), dim=0)
        return Distribution(probabilities.cpu().numpy(), self.vocabulary)

    def complete(self, started: str | bytes = "", **options: Unpack[CompleteOptions]) -> Completions:
        """The likeliest continuations of what was fed and of the text after it, which is left as it is.

        Args:
            started: text that follows what was fed. With a vocabulary of words a word that is only begun
                belongs here, since what is fed is whole words.
            options: see `CompleteOptions`.

        Raises:
            InputError: an option that cannot have that value.
        """
        completing = Completing(**options)
        head, word = begun_word(started, self.vocabulary)
        after = self
        if len(head):
            after = self._branch()
            after.feed(head)
        return complete(self._stepper, self.vocabulary, [after.begun(completing, word)])[0]

    def begun(self, completing: Completing, word: str = "") -> Begun:
        """Where continuations begin, for a search; the word is the beginning of their first symbol."""
        logits = self.logits[0, 0].cpu().numpy()
        return Begun(self.state, logits, completing, Prefix(pending=self._pending()), word)

    def _pending(self) -> bytes:
        """The bytes at the end of what was fed that begin a character and do not end it."""
        if self.vocabulary.kind != "bytes":
            return b""
        return unfinished(self.vocabulary.decode_bytes(self._trail.ids[-3:]))

    @property
    def megabytes(self) -> float:
        """What the kept states take, about."""
        return self._trail.megabytes

    def fork(self) -> "Session":
        """A session that goes on from here by itself."""
        twin = self._branch()
        if self.adapter:
            lesson = self._lesson
            twin._attend(self.adapter.copy())
            twin._lesson = lesson
        return twin

    def _branch(self) -> "Session":
        """A session that goes on from here and does not learn, while this one is left alone."""
        twin = copy.copy(self)
        twin._trail, twin.adapter = self._trail.copy(), None
        twin._stepper = self._stepper.twin()
        return twin

    def rollback(self, symbols: int) -> None:
        """Takes the last symbols back: the session is, to rounding, as if they had not been fed.

        Raises:
            InputError: more symbols than were fed, or than are within reach.
        """
        target, oldest = self.position - symbols, self._trail.oldest
        if symbols < 0 or target < oldest:
            raise InputError(
                f"expected 0 to {self.position - oldest} symbols to take back, got {symbols}",
                hint="a session made with a larger reach can go back further",
            )
        (self.position, self.state, self.logits), again = self._trail.back(target)
        if self.adapter and symbols:
            self._lesson = self._lesson.shorter(symbols)
        block = block_length(1, len(self.vocabulary))
        for start in range(0, len(again), block):
            self._read(again[start : start + block])
        if len(again):
            self._trail.keep(Moment(self.position, self.state, self.logits))
        if self.adapter and self._lesson.is_lost:
            self._lesson = _Lesson(self.state)

    def arrive(self, symbol: int, state: State, logits: Logits) -> None:
        """Goes on to where a symbol led that was read elsewhere, with this state and this model."""
        self.position, self.state, self.logits = self.position + 1, state, logits
        self._trail.append(np.array([symbol]), Moment(self.position, state, logits))

    def _room(self, learns: bool) -> int:
        """Symbols that may be read at once: those of a computation, or those left of a lesson."""
        block = block_length(1, len(self.vocabulary))
        if self.adapter is None or not learns:
            return block
        return min(block, self.adapter.adapting.block - len(self._lesson.ids))

    def _learn(self, adapter: Adapter) -> None:
        """Learns a lesson that is complete; the steps are then those of the new weights."""
        if len(self._lesson.ids) < adapter.adapting.block:
            return
        ids = torch.tensor(self._lesson.ids)[:, None]
        if adapter.learn(ids, self._lesson.state):
            self._stepper = Stepper(adapter.model, self.state, self._weights)
        self._lesson = _Lesson(self.state)

    def _attend(self, adapter: Adapter) -> None:
        """Goes on with the model of an adapter, which learns from here on."""
        self.adapter, self.model = adapter, adapter.model
        self._stepper = Stepper(adapter.model, self.state, self._weights)
        self._lesson = _Lesson(self.state)

    @torch.inference_mode()
    def _read(self, ids: np.ndarray) -> np.ndarray:
        """Advances by a block (T,), and returns its nats (T,)."""
        y = torch.from_numpy(ids)[:, None].to(self.logits.device)
        if len(ids) == 1:
            nats = losses(self.logits, y)
            self._stepper.state = self.state
            step = torch.from_numpy(self._stepper.step(ids))
            self.state, self.logits = self._stepper.state, step[None].to(self.logits, copy=True)
        else:
            logits, self.state = predict(self.model, y, self.state)
            nats = losses(torch.cat([self.logits, logits[:-1]]), y)
            self.logits = logits[-1:].clone()  # a slice would keep the block
        self.position += len(ids)
        return nats[:, 0].double().cpu().numpy()


@torch.inference_mode()
def feed_together(stepper: Stepper, sessions: Sequence[Session], symbols: Sequence[int]) -> None:
    """Feeds each session a symbol. None may learn, since then its weights are its own.

    Args:
        stepper: of the model of all.
        sessions: B of them, at most `FEW_LANES` for the step to be quick.
        symbols: B ids.
    """
    stepper.state = join_lanes([session.state for session in sessions])
    logits = torch.from_numpy(stepper.step(np.array(symbols, np.int64)))
    state = stepper.state
    for i, (session, symbol) in enumerate(zip(sessions, symbols, strict=True)):
        lane = map_state(lambda part, i=i: part[i : i + 1].clone(), state)
        session.arrive(symbol, lane, logits[None, i : i + 1].to(session.logits, copy=True))
