"""A session: a model, and its state after the text that it has read."""

import copy
from collections.abc import Iterator, Sequence
from typing import Unpack

import numpy as np
import torch

from onward.data.vocabulary import BEGIN, Vocabulary
from onward.errors import InputError
from onward.inference.adapt import Adapter, AdaptOptions, BlockLearner
from onward.inference.completion.boundaries import Prefix, incomplete_character
from onward.inference.completion.infill import HEAD, InfillKeywords, InfillOptions, infill
from onward.inference.completion.options import CompleteKeywords, CompleteOptions, Completion, Completions
from onward.inference.completion.search import (
    LONGEST_CHARACTER,
    SearchStart,
    complete,
    split_partial_word,
)
from onward.inference.distribution import Distribution
from onward.inference.history import History, Snapshot
from onward.inference.prediction import initial_state, predict
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.sampling import SMALLEST_TEMPERATURE
from onward.inference.step.stepper import Stepper
from onward.inference.text_source import TextOrIds, ids_of
from onward.layers.state import State, join_lanes, map_state
from onward.memory.memory import Memory
from onward.model import LanguageModel, block_length, losses
from onward.shapes import Logits

REACH = 1 << 16
"""Default number of symbols that a session can take back."""


class Session:
    """A model and its state, for one text. A new session has already read BEGIN, the start of a text.

    A session can be forked, and its last symbols can be rolled back. For this it keeps some earlier states,
    which get sparser with age (at most about a hundred), and the symbols within reach (at most eight bytes
    for each symbol).

    Args:
        model: the model; it is set to evaluation mode.
        vocabulary: of the model.
        reach: minimum number of symbols by which it can be rolled back; with 0 it keeps no earlier states.
        weights: precision of the weights for single symbols (see `WeightType`). Several symbols at once are
            read as a block, in the precision of the model.
        stepper: stepper of this model. Sessions may share one if they are not used at the same time. None
            creates one.
        beginning: text or ids after which a text begins. If nothing was fed, completions are predicted after
            it. Scores and the state do not depend on it.
        memory: learns from each symbol after it was scored; its prediction is mixed with the network's. The
            session changes it. None: no memory.

    Attributes:
        position: number of symbols fed so far.
        state: the state after these symbols.
        logits: the network's logits of the next symbol, (1, 1, V).

    Raises:
        InputError: the reach is negative.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        *,
        reach: int = REACH,
        weights: WeightType = "fp32",
        stepper: Stepper | None = None,
        beginning: TextOrIds = "",
        memory: Memory | None = None,
    ) -> None:
        if reach < 0:
            raise InputError(f"expected reach to be 0 symbols or more, got {reach}")
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.position = 0
        self.logits, self.state = predict(model, torch.tensor([[BEGIN]]), initial_state(model, 1))
        self._weights: WeightType = weights
        self._stepper = stepper or Stepper(model, self.state, weights)
        self._history = History(self._snapshot(), reach)
        self._learner: BlockLearner | None = None
        self._beginning = ids_of(beginning, vocabulary)
        self._memory = memory

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities of the next symbol, mixed with the memory's, (V,) in float32."""
        network = _probabilities(self.logits[:, 0])
        if self._memory is None:
            return network[0]
        return self._memory.refine(self._memory.place()[None], network)[0]

    @property
    def adapter(self) -> Adapter | None:
        """The adapter that learns from the text; None until `adapt` is called."""
        return self._learner.adapter if self._learner else None

    @property
    def megabytes(self) -> float:
        """Approximate size of the earlier states and the memory."""
        return self._history.megabytes + (self._memory.megabytes if self._memory else 0.0)

    def feed(self, symbols: TextOrIds, *, learns: bool = True) -> np.ndarray:
        """Reads symbols, and returns the surprise of each in nats, (N,) in float64.

        A symbol is scored before the model reads it.

        Args:
            symbols: a text, its bytes, or ids. Unknown characters are read as UNKNOWN. Each call encodes
                its text separately, so a text should not end within a word or a character of several bytes.
            learns: whether a session that adapts learns from these symbols. If not, it does not learn from
                earlier symbols in an unfinished block either.

        Raises:
            VocabularyError: an id is not in the vocabulary.
        """
        ids = ids_of(symbols, self.vocabulary).astype(np.int64, copy=False)
        nats = np.empty(len(ids))
        for part in self._blocks(ids, learns=learns):
            nats[part] = self._read(ids[part], self._memory)
        return nats

    def predictions(self, symbols: TextOrIds) -> np.ndarray:
        """Reads symbols as `feed` does, and returns the probabilities before each, (N, V) in float32.

        Raises:
            VocabularyError: an id is not in the vocabulary.
        """
        ids = ids_of(symbols, self.vocabulary).astype(np.int64, copy=False)
        found = np.empty((len(ids), len(self.vocabulary)), np.float32)
        for part in self._blocks(ids, learns=True):
            found[part] = network = _probabilities(self._predict(ids[part]))
            if self._memory is None:
                continue
            for at in range(part.start, part.stop):
                one = slice(at, at + 1)
                found[one] = self._memory.refine(self._memory.place()[None], found[one])
                self._memory.read(ids[one], network[at - part.start :][:1])
        return found

    def adapt(self, options: AdaptOptions | None = None, learned: bytes | None = None) -> None:
        """Makes the session learn, block by block, from the text that it reads from now on.

        Each block is scored before the session learns from it. The model itself does not change: the learned
        weights belong to this session. `session.adapter.to_bytes()` saves them, and `forget` restores the
        weights of the model.

        Args:
            options: how to learn.
            learned: saved weights of another session of this model.

        Raises:
            ArtefactError: `learned` is damaged, or belongs to another model.
        """
        adapter = Adapter(self.adapter.base if self.adapter else self.model, options)
        if learned is not None:
            adapter.restore(learned)
        self._use(BlockLearner(adapter, self.state))

    def forget(self) -> None:
        """Restores the trained weights, and continues to learn from there."""
        if self.adapter:
            self.adapter.reset()
            self._use(BlockLearner(self.adapter, self.state))

    @torch.inference_mode()
    def next_distribution(self, temperature: float | int = 1.0) -> Distribution:
        """Returns the probabilities of the next symbol.

        Args:
            temperature: divides the logits; below 1, likely symbols become likelier.

        Raises:
            InputError: the temperature is not above 0.
        """
        if not 0 < temperature < float("inf"):
            raise InputError(f"expected a temperature above 0, got {temperature}")
        logits = torch.from_numpy(self.probabilities).log() if self._memory else self.logits[0, 0]
        probabilities = torch.softmax(logits / max(temperature, SMALLEST_TEMPERATURE), dim=0)
        return Distribution(probabilities.cpu().numpy(), self.vocabulary)

    def complete(self, started: str | bytes = "", **options: Unpack[CompleteKeywords]) -> Completions:
        """Returns the likeliest continuations. The session does not change.

        Args:
            started: text that follows the text of the session. If symbols are words, pass an incomplete word
                here, because only whole words can be fed.
            options: see `CompleteOptions`.

        Raises:
            InputError: an option is out of range.
        """
        checked = CompleteOptions(**options)
        head, word = split_partial_word(started, self.vocabulary)
        after = self
        if len(head):
            after = self._copy()
            after.feed(head)
        return complete(self._stepper, self.vocabulary, [after.search_start(checked, word)])[0]

    def infill(self, suffix: str | bytes, **options: Unpack[InfillKeywords]) -> tuple[Completion, ...]:
        """Returns the likeliest texts between the text of the session and a suffix.

        The session does not change. With a suffix, the empty text may be one of them. The probabilities are
        those among the candidates that the search found (see `inference.completion.infill`).

        Args:
            suffix: the text that follows; "" completes the line.
            options: see `InfillOptions`.

        Raises:
            InputError: an option is out of range, or the symbols are words.
        """
        ids = ids_of(suffix[: HEAD * LONGEST_CHARACTER], self.vocabulary)
        start = self.search_start(CompleteOptions())
        search = infill(self._stepper, self.vocabulary, start, ids, InfillOptions(**options))
        while True:
            try:
                next(search)
            except StopIteration as stop:
                return stop.value

    def remember(self, memory: Memory) -> None:
        """Replaces the memory by one that has counted other texts.

        It counts the symbols of the session that are within reach, after these texts.

        Args:
            memory: the new memory, which the session changes.
        """
        memory.count(np.array(self._history.ids, np.int64))
        self._memory = memory

    def search_start(self, options: CompleteOptions, word: str = "") -> SearchStart:
        """Returns the start of a search for continuations.

        Args:
            options: options of the completion.
            word: if symbols are words, the beginning of the first symbol.
        """
        if not word and (begun := self.begun()) is not self:
            return begun.search_start(options)
        pending = b""
        if self.vocabulary.kind == "bytes":
            pending = incomplete_character(self.vocabulary.decode_bytes(self._history.ids[-3:]))
        logits = self.logits[0, 0].cpu().numpy()
        return SearchStart(self.state, logits, options, Prefix(pending=pending), word, self._memory)

    def begun(self) -> "Session":
        """Returns the session itself, or if nothing was fed, one that has read `beginning`."""
        if self.position or not len(self._beginning):
            return self
        twin = self._copy()
        twin.feed(self._beginning)
        return twin

    def fork(self) -> "Session":
        """Returns an independent session in the same state."""
        twin = self._copy()
        if self._learner:
            twin._use(self._learner.copy())
        return twin

    def rollback(self, symbols: int) -> None:
        """Rolls back the last symbols. Up to rounding, the session is then as if they had not been fed.

        If the session has learned from them, the learned weights stay. The memory can undo the last few
        thousand symbols exactly. If more are rolled back, it is reset, and counts the remaining symbols
        within reach.

        Raises:
            InputError: there are fewer symbols, or fewer are within reach.
        """
        target, oldest = self.position - symbols, self._history.oldest
        if symbols < 0 or target < oldest:
            raise InputError(
                f"expected 0 to {self.position - oldest} symbols to roll back, got {symbols}",
                hint="model.session(reach=N) makes a session that can roll back N symbols or more",
            )
        (self.position, self.state, self.logits), again = self._history.back(target)
        block = block_length(1, len(self.vocabulary))
        for start in range(0, len(again), block):
            self._read(again[start : start + block])
        if len(again):
            self._history.keep(self._snapshot())
        if self._learner and symbols:
            self._learner.remove(symbols, self.state)
        if self._memory and symbols > self._memory.undoable:
            self._memory.restart(np.array(self._history.ids, np.int64))
        elif self._memory:
            self._memory.take_back(symbols)

    def _blocks(self, ids: np.ndarray, *, learns: bool) -> Iterator[slice]:
        """Yields the blocks of symbols (N,) that the caller must read; learns from each that was read."""
        learner = self._learner if learns else None
        block, start = block_length(1, len(self.vocabulary)), 0
        while start < len(ids):
            part = slice(start, min(len(ids), start + (min(block, learner.missing) if learner else block)))
            yield part
            self._history.append(ids[part], self._snapshot())
            start = part.stop
            if learner and learner.add(ids[part], self.state):
                self._stepper = Stepper(
                    self.model, self.state, self._weights
                )  # a stepper needs weights that do not change
        if self._learner and not learns and len(ids):
            self._learner.restart(self.state)

    def _copy(self) -> "Session":
        """Returns an independent session that does not learn."""
        twin = copy.copy(self)
        twin._history, twin._learner = self._history.copy(), None
        twin._stepper = self._stepper.fork()
        twin._memory = self._memory.fork() if self._memory else None
        return twin

    def _use(self, learner: BlockLearner) -> None:
        """Makes the session use a learner and its weights."""
        self._learner, self.model = learner, learner.adapter.model
        self._stepper = Stepper(self.model, self.state, self._weights)

    def _snapshot(self) -> Snapshot:
        return Snapshot(self.position, self.state, self.logits)

    def _read(self, ids: np.ndarray, memory: Memory | None = None) -> np.ndarray:
        """Reads a block of symbols (T,), and returns their surprise in nats, (T,).

        With a memory, the surprise is that of the mixed prediction, and the memory learns from the symbols.
        """
        before = self._predict(ids)
        if memory:
            return memory.read(ids, _probabilities(before))
        y = torch.from_numpy(ids)[:, None].to(before.device)
        return losses(before[:, None], y)[:, 0].double().cpu().numpy()

    @torch.inference_mode()
    def _predict(self, ids: np.ndarray) -> torch.Tensor:
        """Reads a block of symbols (T,), and returns the network's logits before each, (T, V)."""
        before = self.logits
        if len(ids) == 1:
            self._stepper.state = self.state
            step = torch.from_numpy(self._stepper.step(ids))
            self.state, self.logits = self._stepper.state, step[None].to(self.logits, copy=True)
        else:
            y = torch.from_numpy(ids)[:, None].to(self.logits.device)
            logits, self.state = predict(self.model, y, self.state)
            before = torch.cat([before, logits[:-1]])
            self.logits = logits[-1:].clone()  # a slice would keep the whole block in memory
        self.position += len(ids)
        return before[:, 0]

    def _advance(self, symbol: int, state: State, logits: Logits) -> None:
        """Stores the state and the logits after a symbol that another stepper has read."""
        if self._memory:
            self._memory.read(np.array([symbol]), _probabilities(self.logits[:, 0]))
        self.position, self.state, self.logits = self.position + 1, state, logits
        self._history.append(np.array([symbol]), self._snapshot())


@torch.inference_mode()
def feed_together(stepper: Stepper, sessions: Sequence[Session], symbols: Sequence[int]) -> None:
    """Feeds one symbol to each of several sessions, in one step of the model.

    Args:
        stepper: stepper of the model, which is the same for all sessions.
        sessions: B sessions that do not adapt; up to `FEW_LANES` sessions take little longer than one.
        symbols: an id for each session.
    """
    stepper.state = join_lanes([session.state for session in sessions])
    logits = torch.from_numpy(stepper.step(np.array(symbols, np.int64)))
    state = stepper.state
    for i, (session, symbol) in enumerate(zip(sessions, symbols, strict=True)):
        lane = map_state(lambda part, i=i: part[i : i + 1].clone(), state)
        session._advance(symbol, lane, logits[None, i : i + 1].to(session.logits, copy=True))


def _probabilities(logits: torch.Tensor) -> np.ndarray:
    """Returns the probabilities (T, V) of logits (T, V) in float32."""
    return torch.softmax(logits.float(), dim=-1).cpu().numpy()
