"""Online learning of a typing session: its own weights, and the parts of its text that they have learned.

The model may read a part of a text several times: after the cursor moved back, after the states were dropped
to save memory, or after a restart. The session learns from each character once, the first time.
"""

import logging
import sys
from collections.abc import Iterator
from typing import NamedTuple

from onward.artefact import weights_of
from onward.data.words import continues_word
from onward.errors import ArtefactError
from onward.inference.adapt import Adapter
from onward.inference.session import Session
from onward.model import LanguageModel
from onward.serve.engine.common_text import common_beginning, common_end

LEARNING_SLICE, READING_SLICE = 32, 2048
"""Number of characters of a slice that is learned, and of a slice that is only read."""

_NEW, _LEARNED = b"\0", b"\1"
_LOG = logging.getLogger("onward.serve")


class LearnedState(NamedTuple):
    """What a session has learned, as the store keeps it.

    Attributes:
        weights: result of `Adapter.to_bytes`.
        text: text of the session at that time.
        spans: parts of the text that were learned from, each as (start, end).
    """

    weights: bytes
    text: str
    spans: list[tuple[int, int]]


class OnlineLearner:
    """Learns from the text of a session. For the model's thread alone.

    It outlives the `Session` in which it learns, whose states may be dropped.

    Args:
        learned: where to continue; None: the model as it was trained.
    """

    def __init__(self, learned: LearnedState | None = None) -> None:
        self._adapter: Adapter | None = None
        self._weights = learned.weights if learned else None
        self._text = learned.text if learned else ""
        self._marks = bytearray(len(self._text))  # _NEW or _LEARNED for each character
        for start, end in learned.spans if learned else ():
            self._marks[start:end] = _LEARNED * (end - start)
        self._saved_steps: int | None = None  # at the last `take_unsaved`; None: there was none

    @property
    def steps(self) -> int:
        """Blocks that were learned since the start, or since `forget`."""
        return self._adapter.steps if self._adapter else 0

    def text_bytes(self, text: str) -> int:
        """Returns the bytes that note what was learned: marks, the text if it is not `text`, and weights that
        were loaded and not attached yet."""
        own = 0 if self._text is text else sys.getsizeof(self._text)
        return len(self._marks) + own + len(self._weights or b"")

    def attach(self, session: Session) -> None:
        """Attaches the weights to a session that has not read anything yet, in which learning continues."""
        try:
            session.adapt(learned=self._adapter.to_bytes() if self._adapter else self._weights)
        except ArtefactError as error:  # the model was trained again
            _LOG.warning("a session lost what it had learned: %s", error)
            session.adapt()
        self._adapter, self._weights = session.adapter, None
        if self._saved_steps is None:
            self._saved_steps = self.steps

    def forget(self) -> None:
        """Returns to the model as it was trained. The text read so far is not learned again."""
        self._adapter, self._weights, self._saved_steps = None, None, -1

    def update_text(self, text: str) -> None:
        """Replaces the text. The part between the common beginning and the common end is new."""
        old = self._text
        start = common_beginning(old, text)
        same = common_end(old, text, start)
        self._marks[start : len(old) - same] = _NEW * (len(text) - same - start)
        self._text = text

    def slices(self, start: int, end: int, *, words: bool) -> Iterator[tuple[str, bool]]:
        """Yields the slices of a part of the text, and marks them as learned.

        Args:
            start, end: start and end of the part.
            words: slices end between words.

        Yields:
            A slice, and whether it is new and should be learned from.
        """
        while start < end:
            is_new = self._marks[start] == 0
            change = self._marks.find(_LEARNED if is_new else _NEW, start, end)
            limit = min(end, start + (LEARNING_SLICE if is_new else READING_SLICE))
            stop = limit if change < 0 else min(change, limit)
            while words and stop < end and _is_within_word(self._text, stop):
                stop += 1
            self._marks[start:stop] = _LEARNED * (stop - start)
            yield self._text[start:stop], is_new
            start = stop

    def take_unsaved(self) -> LearnedState | None:
        """Returns what should be saved; None if nothing was learned or forgotten since the last call."""
        if self._adapter is None or self._saved_steps == self.steps:
            return None
        self._saved_steps = self.steps
        spans, start = [], self._marks.find(_LEARNED)
        while start >= 0:
            end = self._marks.find(_NEW, start)
            end = len(self._marks) if end < 0 else end
            spans.append((start, end))
            start = self._marks.find(_LEARNED, end)
        return LearnedState(self._adapter.to_bytes(), self._text, spans)


def megabytes_to_learn(model: LanguageModel) -> float:
    """Memory for learning in one session: a copy of the weights, and one in the order of the steps."""
    return 2 * sum(weight.nbytes for weight in weights_of(model).values()) / 2**20


def _is_within_word(text: str, place: int) -> bool:
    return all(map(continues_word, text[place - 1 : place + 1]))
