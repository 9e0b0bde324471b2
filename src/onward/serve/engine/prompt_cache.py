"""Prompts of editors that were read before: a client sends almost the same text at each key.

An editor sends the text before the cursor, which begins some lines before it. While the user types, the text
grows at its end; from time to time, its first lines are left out. The model keeps its state, so it reads only
what is new. What was left out is not forgotten.

The other texts (of other files, and after the cursor) are not read by the model. Its memory counts them, so
that a name from there can be completed.
"""

from collections.abc import Generator, Sequence

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.memory.memory import Memory
from onward.serve.engine.common_text import common_beginning
from onward.serve.engine.typed_text import TypedText

MOST_PROMPTS = 4
"""Number of prompts that are kept for each model."""

MOST_CHARACTERS = 200_000
"""A prompt that has grown longer is read again, from the first character that the client still sends."""

_ANCHOR = 200  # characters at the start of a prompt that must be found in an earlier one
_LEAST_SHARE = 0.5
_COUNT_SLICE = 4096  # symbols


class CachedPrompt:
    """A prompt that the model has read, and the other texts that its memory has counted.

    Args:
        trained: the model.
        stepper: stepper of the model, shared by all sessions.
        memory: size of the memory in megabytes; 0 turns it off.

    Attributes:
        typed: the part of the prompt that was read.
        megabytes: size of the memory.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper, memory: float | int) -> None:
        self._trained, self.megabytes = trained, memory
        self.typed = TypedText(trained, stepper, memory=memory)
        self._text = ""
        self._extra: tuple[str, ...] = ()
        self._counted: Memory | None = None  # the memory after `_extra`
        self._after = ""

    def common(self, prompt: str) -> tuple[int, int]:
        """Compares a prompt with the one that was read.

        Returns:
            Number of characters that were read before the start of the prompt, and number of characters of
            the prompt that were read.
        """
        earlier = 0
        if not self._text.startswith(prompt[:_ANCHOR]):
            earlier = self._text.rfind(prompt[:_ANCHOR]) if len(prompt) >= _ANCHOR else -1
            if earlier < 0 or earlier + len(prompt) > MOST_CHARACTERS:
                earlier = 0
        return earlier, common_beginning(self._text[earlier:], prompt)

    def shares(self, prompt: str) -> float:
        """Returns the share of the shorter of both prompts that was read."""
        _, common = self.common(prompt)
        return common / max(1, min(len(prompt), len(self._text)))

    def read(self, prompt: str) -> Generator[None, None, int]:
        """Reads a prompt in slices.

        Returns:
            Number of symbols that were read.
        """
        earlier, common = self.common(prompt)
        text = self._text[:earlier] + prompt
        read = yield from self.typed.read(text, len(text), earlier + common)
        self._text = text
        return read

    def count(self, extra: Sequence[str], after: str) -> Generator[None, None, None]:
        """Has the memory count other texts in slices, unless it has.

        Args:
            extra: parts of other files.
            after: the text after the cursor.
        """
        extra = tuple(extra)
        if not self.megabytes or (extra == self._extra and after == self._after):
            return
        known = len(self._extra)
        if self._counted is None or extra[:known] != self._extra:
            self._counted, known = self._trained.memory(self.megabytes), 0
        assert self._counted
        yield from _count(self._counted, self._trained.vocabulary, extra[known:])
        background = self._counted.fork()
        yield from _count(background, self._trained.vocabulary, [after])
        self.typed.remember(background)
        self._extra, self._after = extra, after


class PromptCache:
    """The prompts that were read last. For the model's thread alone.

    Args:
        trained: the model.
        stepper: stepper of the model, shared by all sessions.
        memory: size of the memory of each prompt in megabytes; 0 turns it off.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper, memory: float | int) -> None:
        self.trained, self.stepper, self._memory = trained, stepper, memory
        self._kept: list[CachedPrompt] = []  # the least recently used first

    def take(self, prompt: str, *, remembers: bool) -> CachedPrompt:
        """Takes out the prompt that has most in common with this one, or makes a new one.

        Work that fails does not put it back, because it may have read only a part.

        Args:
            prompt: the text before the cursor.
            remembers: whether it has a memory.
        """
        megabytes = self._memory if remembers else 0
        fitting = [each for each in self._kept if each.megabytes == megabytes]
        best = max(fitting, key=lambda each: each.shares(prompt), default=None)
        if best is None or best.shares(prompt) < _LEAST_SHARE:
            return CachedPrompt(self.trained, self.stepper, megabytes)
        self._kept.remove(best)
        return best

    def put(self, cached: CachedPrompt) -> None:
        """Puts a prompt back."""
        self._kept.append(cached)
        del self._kept[:-MOST_PROMPTS]


def _count(memory: Memory, vocabulary: Vocabulary, texts: Sequence[str]) -> Generator[None, None, None]:
    """Counts texts in slices."""
    for text in texts:
        ids = vocabulary.encode(text + "\n") if text else np.zeros(0, np.int64)
        for start in range(0, len(ids), _COUNT_SLICE):
            memory.count(ids[start : start + _COUNT_SLICE])
            yield
