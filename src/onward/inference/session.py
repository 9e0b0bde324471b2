"""A model that listens: it is fed symbols, says what it expects, and can be forked and taken back."""

import copy
from array import array
from typing import NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor

from onward.data.vocabulary import BEGIN, Vocabulary
from onward.errors import InputError
from onward.inference.boundary import Prefix, unfinished
from onward.inference.complete import CompleteOptions, Completing, Completions, begun_word, complete
from onward.inference.distribution import Distribution
from onward.inference.prediction import initial_state, predict
from onward.inference.program import WeightType
from onward.inference.sampling import SMALLEST_TEMPERATURE
from onward.inference.source import Readable, ids_of
from onward.inference.stepper import Stepper
from onward.layers.state import State, map_state, tensors_of
from onward.model import LanguageModel, block_length, losses
from onward.shapes import Logits

REACH = 1 << 16
"""Symbols that a session can take back, unless it is told otherwise."""

_MOST_CHECKPOINTS = 256
_SPACING = 8


class _Checkpoint(NamedTuple):
    """A moment of a session: symbols fed, the state after them, and the logits of the next (1, 1, V)."""

    position: int
    state: State
    logits: Logits


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

    Attributes:
        position: symbols fed so far.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        *,
        reach: int = REACH,
        weights: WeightType = "fp32",
    ) -> None:
        if reach < 0:
            raise InputError(f"expected a reach of 0 symbols or more, got {reach}")
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.position = 0
        self._reach = reach
        self._ids = array("I")  # the last symbols, those after the oldest checkpoint
        logits, self._state = predict(model, torch.tensor([[BEGIN]]), initial_state(model, 1))
        self._logits = logits
        self._stepper = Stepper(model, self._state, weights)  # forks share it: it is told the state each time
        self._checkpoints = [_Checkpoint(0, self._state, self._logits)]

    def feed(self, symbols: Readable) -> np.ndarray:
        """The surprise at each symbol in nats (N,) in float64, each computed before the symbol was read.

        Args:
            symbols: a text, its bytes, or ids. Unknown characters are read as UNKNOWN. Text is encoded as it
                comes: a word, or a character of several bytes, should not be cut between two calls.

        Raises:
            VocabularyError: ids that the vocabulary does not have.
        """
        ids = ids_of(symbols, self.vocabulary).astype(np.int64, copy=False)
        nats = np.empty(len(ids))
        block = block_length(1, len(self.vocabulary))
        for start in range(0, len(ids), block):
            part = ids[start : start + block]
            nats[start : start + block] = self._read(part)
            self._ids.frombytes(part.astype(np.uintc).tobytes())
            self._keep()
        return nats

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
        probabilities = torch.softmax(self._logits[0, 0] / max(temperature, SMALLEST_TEMPERATURE), dim=0)
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
            after = self.fork()
            after.feed(head)
        begin = Prefix(pending=after._pending())
        return complete(
            self._stepper, self.vocabulary, after._state, after._logits[0, 0], completing, begin, word
        )

    def _pending(self) -> bytes:
        """The bytes at the end of what was fed that begin a character and do not end it."""
        if self.vocabulary.kind != "bytes":
            return b""
        return unfinished(self.vocabulary.decode_bytes(self._ids[-3:]))

    @property
    def megabytes(self) -> float:
        """What the kept states take, about: as many as there are, each as large as the present one."""
        state = sum(part.nbytes for part in tensors_of(self._state)) + self._logits.nbytes
        return len(self._checkpoints) * state / 2**20

    def fork(self) -> "Session":
        """A session that goes on from here by itself."""
        twin = copy.copy(self)
        twin._ids, twin._checkpoints = self._ids[:], self._checkpoints[:]
        return twin

    def rollback(self, symbols: int) -> None:
        """Takes the last symbols back: the session is, to rounding, as if they had not been fed.

        Raises:
            InputError: more symbols than were fed, or than are within reach.
        """
        target, oldest = self.position - symbols, self._checkpoints[0].position
        if symbols < 0 or target < oldest:
            raise InputError(
                f"expected 0 to {self.position - oldest} symbols to take back, got {symbols}",
                hint="a session made with a larger reach can go back further",
            )
        while self._checkpoints[-1].position > target:
            self._checkpoints.pop()
        self.position, self._state, self._logits = self._checkpoints[-1]
        again = np.array(self._ids[self.position - oldest : target - oldest], np.int64)
        del self._ids[target - oldest :]
        block = block_length(1, len(self.vocabulary))
        for start in range(0, len(again), block):
            self._read(again[start : start + block])
        if len(again):
            self._keep()

    @torch.inference_mode()
    def _read(self, ids: np.ndarray) -> np.ndarray:
        """Advances by a block (T,), and returns its nats (T,)."""
        y = torch.from_numpy(ids)[:, None].to(self._logits.device)
        if len(ids) == 1:
            nats = losses(self._logits, y)
            self._stepper.state = self._state
            step = torch.from_numpy(self._stepper.step(ids))
            self._state, self._logits = self._stepper.state, step[None].to(self._logits, copy=True)
        else:
            logits, self._state = predict(self.model, y, self._state)
            nats = losses(torch.cat([self._logits, logits[:-1]]), y)
            self._logits = logits[-1:].clone()  # a slice would keep the block
        self.position += len(ids)
        return nats[:, 0].double().cpu().numpy()

    def _keep(self) -> None:
        """Remembers this moment, and forgets what is out of reach or too close to another."""
        self._checkpoints.append(_Checkpoint(self.position, map_state(_compact, self._state), self._logits))
        oldest = self._checkpoints[0].position
        if len(self._checkpoints) <= _MOST_CHECKPOINTS and self.position - oldest <= 2 * self._reach:
            return
        self._checkpoints = _thinned(self._checkpoints, self.position - self._reach)
        del self._ids[: self._checkpoints[0].position - oldest]


def _thinned(checkpoints: list[_Checkpoint], reach: int) -> list[_Checkpoint]:
    """Those needed to go back to any position from `reach` on by reading an eighth of the way again."""
    now = checkpoints[-1].position
    kept = [checkpoints[-1]]
    for i in range(len(checkpoints) - 2, -1, -1):
        if kept[-1].position <= reach:
            break
        gap = kept[-1].position - checkpoints[max(0, i - 1)].position
        if i == 0 or checkpoints[i].position <= reach or gap * _SPACING > now - kept[-1].position:
            kept.append(checkpoints[i])
    return kept[::-1]


def _compact(part: Tensor) -> Tensor:
    """The same values, without the block that they may be a slice of."""
    return part.clone() if part.untyped_storage().nbytes() > part.nbytes else part
