"""The text of a typing session as the model sees it: the model follows the edits and the cursor."""

import sys
from collections.abc import Generator, Iterator
from dataclasses import asdict

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.data.words import LONGEST_WORD, last_word_length
from onward.errors import InputError
from onward.inference.completion.options import CompleteOptions, Completions
from onward.inference.completion.search import SearchStart
from onward.inference.session import Session
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.memory.memory import Memory
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.completion_cache import CompletionCache
from onward.serve.engine.online_learning import OnlineLearner
from onward.serve.engine.tokens import text_of
from onward.serve.http.limits import MEGABYTE

REACH = 4096
"""Number of symbols that a session can go back without reading its text again."""

SLICE = 256
"""Number of symbols that one slice reads, in about ten milliseconds."""

_SYMBOLS_PER_CHARACTER = 4
"""Maximum number of symbols of a character: its bytes."""


class TypedText:
    """What the model has read of a text, up to the cursor. For the model's thread alone.

    With a vocabulary of words, an incomplete word before the cursor is not read yet.

    Args:
        trained: the model.
        stepper: stepper of the model, shared by all sessions that do not adapt.
        learner: learns from the text that is read; None: the session does not adapt.
        memory: size of the memory in megabytes; 0 turns it off.

    Attributes:
        cache: the last completions.
    """

    def __init__(
        self,
        trained: TrainedModel,
        stepper: Stepper,
        learner: OnlineLearner | None = None,
        memory: float | int = 0,
    ) -> None:
        self._trained, self._stepper, self._learner, self._memory = trained, stepper, learner, memory
        self._background: Memory | None = None  # None: memories begin as those of the model
        self._session: Session | None = None  # None: nothing was read
        self._read = ""
        self._partial_word = ""
        self.cache = CompletionCache()

    @property
    def adapts(self) -> bool:
        """Whether the session learns from its text, and so has weights of its own."""
        return self._learner is not None

    @property
    def session(self) -> Session:
        """The model's session after the text that was read."""
        if self._session is None:
            model, vocabulary = self._trained.model, self._trained.vocabulary
            beginning = self._trained.beginning
            self._session = Session(
                model,
                vocabulary,
                reach=REACH,
                stepper=self._stepper,
                beginning=beginning,
                memory=self._new_memory(),
            )
            if self._learner:
                self._learner.attach(self._session)
        return self._session

    def megabytes(self, text: str) -> float:
        """Returns the approximate size of the states, and of the text that was read, if it is not `text`."""
        session, read = self._session, self._read  # the model's thread may drop the session meanwhile
        own = 0 if read is text else sys.getsizeof(read)
        return own / MEGABYTE + (0.0 if session is None else session.megabytes)

    def remember(self, background: Memory) -> None:
        """Makes the memory begin with what another one has counted.

        Args:
            background: the other memory, which does not change.
        """
        self._background = background
        self.cache.clear()
        if self._session:
            self._session.remember(background.fork(restarts_here=True))

    def rewind(self, text: str, cursor: int, unchanged: int) -> np.ndarray:
        """Rewinds the session to the part of the text that has not changed.

        Args:
            text: the new text.
            cursor: position up to which the model should read.
            unchanged: length of the beginning that is the same in the old and the new text.

        Returns:
            The symbols (N,) that must be fed to the session so that it reaches the cursor.
        """
        kept = self._rewind(text, cursor, unchanged)
        return self._trained.vocabulary.encode(self._read[kept:])

    def characters_to_read(self, cursor: int, unchanged: int) -> int:
        """Returns the approximate number of characters that `read` would read."""
        kept = min(cursor, unchanged, len(self._read))
        if len(self._read) - kept > REACH // _SYMBOLS_PER_CHARACTER:
            kept = 0  # it may be out of reach
        return cursor - kept

    def read(self, text: str, cursor: int, unchanged: int) -> Generator[None, None, int]:
        """Reads up to the cursor in slices; an adapting session learns from the new text.

        The arguments are those of `rewind`.

        Returns:
            Number of symbols that were read.
        """
        if self._learner:
            self._learner.update_text(text)
        read = 0
        for part, learns in self._slices(self._rewind(text, cursor, unchanged)):
            read += len(self.session.feed(part, learns=learns))
            yield
        return read

    def forget(self) -> None:
        """Drops the learned weights. The text must be read again."""
        if self._learner:
            self._learner.forget()
        self._session, self._read = None, ""

    def next_probabilities(self) -> np.ndarray:
        """Returns the probabilities (V,) of the symbol after the text that was read."""
        session = self.session if self._partial_word else self.session.begun()
        return session.probabilities

    def completion_start(self, options: AnswerOptions, effort: int) -> SearchStart:
        """Returns the start of a search for completions that expands at most `effort` prefixes."""
        return self.session.search_start(_search_options(options, effort), self._partial_word)

    def complete(self, options: AnswerOptions, effort: int) -> Completions:
        """Finds the completions with the weights of this session."""
        return self.session.complete(self._partial_word, **asdict(_search_options(options, effort)))

    def update_cache(self, symbols: np.ndarray) -> None:
        """Updates the last completions for symbols (N,) that will be fed."""
        if len(symbols) != 1 or self._partial_word or self.cache.is_empty or not self.session.position:
            self.cache.clear()  # an empty text was completed after the beginning of a text
            return
        probability = float(self.session.probabilities[int(symbols[0])])
        self.cache.advance(text_of(self._trained.vocabulary, int(symbols[0])), probability)

    def _new_memory(self) -> Memory | None:
        if self._background:
            return self._background.fork(restarts_here=True)
        return self._trained.memory(self._memory)

    def _rewind(self, text: str, cursor: int, unchanged: int) -> int:
        """Does the work of `rewind`, and returns the position of the model in `_read`."""
        vocabulary = self._trained.vocabulary
        head = text[:cursor]
        self._partial_word = _partial_word(head, vocabulary)
        head = head[: len(head) - len(self._partial_word)]
        kept = min(unchanged, len(self._read), len(head))
        if vocabulary.kind == "words":
            kept -= last_word_length(head[:kept], marks=vocabulary.marks)
        back = len(vocabulary.encode(self._read[kept:])) if kept < len(self._read) else 0
        if back:
            self.cache.clear()
            try:
                self.session.rollback(back)
            except InputError:  # out of reach
                self._session, kept = None, 0
        self._read = head
        return kept

    def _slices(self, start: int) -> Iterator[tuple[str | np.ndarray, bool]]:
        """Yields the slices of `_read` from a place on, and whether to learn from each."""
        vocabulary = self._trained.vocabulary
        if self._learner:
            yield from self._learner.slices(start, len(self._read), words=vocabulary.kind == "words")
            return
        ids = vocabulary.encode(self._read[start:])
        for first in range(0, len(ids), SLICE):
            yield ids[first : first + SLICE], False


def _search_options(options: AnswerOptions, effort: int) -> CompleteOptions:
    """Returns the options of a search; with less effort, fewer prefixes advance at once."""
    lanes = min(8, effort) if options.until == "word" else max(8, options.completions, effort // 2)
    return CompleteOptions(
        n=options.completions, until=options.until, shortest=options.shortest, effort=effort, lanes=lanes
    )


def _partial_word(head: str, vocabulary: Vocabulary) -> str:
    """Returns the word at the end of a text, which may be incomplete, if symbols are words."""
    if vocabulary.kind != "words":
        return ""
    end = head[-LONGEST_WORD:]
    return end[len(end) - last_word_length(end, marks=vocabulary.marks) :]
