"""What a session of the server learns: weights of its own, and what of its text they were learned from.

The model reads some of a text more than once: when the cursor goes back and forth, when the states were
dropped for others, after a restart. It learns from each character once, the first time.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from onward.artefact import weights_of
from onward.errors import ArtefactError
from onward.inference.adapt import Adapter
from onward.inference.session import Session
from onward.model import LanguageModel

LESSON, READING = 32, 2048
"""Characters that are learned from, and that are read alone, before others have their turn."""

_NEW, _KNOWN = b"\0", b"\1"
_LOG = logging.getLogger("onward.serve")


class Learned(NamedTuple):
    """What was learned, as it is kept on the disk.

    Attributes:
        weights: as `Adapter.to_bytes` gave them.
        text: as it was then.
        known: places of it that were read, as pairs: the first, and that behind the last.
    """

    weights: bytes
    text: str
    known: list[tuple[int, int]]


class OnlineLearner:
    """Belongs to the model's thread, and outlives the session of the model in which it learns.

    Args:
        learned: what it goes on from; None: the model as it was trained.
    """

    def __init__(self, learned: Learned | None = None) -> None:
        self._adapter: Adapter | None = None
        self._weights = learned.weights if learned else None
        self._text = learned.text if learned else ""
        self._known = bytearray(len(self._text))
        for first, behind in learned.known if learned else ():
            self._known[first:behind] = _KNOWN * (behind - first)
        self._kept_steps: int | None = None  # when `news` was last asked; None: never

    @property
    def steps(self) -> int:
        """Blocks that were learned from, since it was made or forgot."""
        return self._adapter.steps if self._adapter else 0

    def attend(self, session: Session) -> None:
        """Goes on learning in a session that has read nothing yet."""
        try:
            session.adapt(learned=self._adapter.to_bytes() if self._adapter else self._weights)
        except ArtefactError as error:  # the model was trained anew since
            _LOG.warning("what a session had learned is lost: %s", error)
            session.adapt()
        self._adapter, self._weights = session.adapter, None
        if self._kept_steps is None:
            self._kept_steps = self.steps

    def forget(self) -> None:
        """Goes on from the model as it was trained. What was read is not learned again."""
        self._adapter, self._weights, self._kept_steps = None, None, -1

    def follow(self, text: str) -> None:
        """The text is now this one: what came into it is new, the rest is as known as it was."""
        old, shorter = self._text, min(len(self._text), len(text))
        start = bisect_left(range(shorter), True, key=lambda i: old[: i + 1] != text[: i + 1])
        same = bisect_left(
            range(shorter - start), True, key=lambda i: old[len(old) - i - 1 :] != text[len(text) - i - 1 :]
        )
        self._known[start : len(old) - same] = _NEW * (len(text) - same - start)
        self._text = text

    def parts(self, start: int, end: int, *, words: bool) -> Iterator[tuple[str, bool]]:
        """Parts of the text from one place to another, and whether each is new; it is not from then on.

        Args:
            start, end: places.
            words: whether they must not end within a word.
        """
        while start < end:
            is_new = self._known[start] == 0
            change = self._known.find(_KNOWN if is_new else _NEW, start, end)
            most = min(end, start + (LESSON if is_new else READING))
            stop = most if change < 0 else min(change, most)
            while words and stop < end and _is_within_word(self._text, stop):
                stop += 1
            self._known[start:stop] = _KNOWN * (stop - start)
            yield self._text[start:stop], is_new
            start = stop

    def news(self) -> Learned | None:
        """What is to be kept; None if nothing was learned or forgotten since this was last asked."""
        if self._adapter is None or self._kept_steps == self.steps:
            return None
        self._kept_steps = self.steps
        known, place = [], self._known.find(_KNOWN)
        while place >= 0:
            behind = self._known.find(_NEW, place)
            behind = len(self._known) if behind < 0 else behind
            known.append((place, behind))
            place = self._known.find(_KNOWN, behind)
        return Learned(self._adapter.to_bytes(), self._text, known)


def megabytes_to_learn(model: LanguageModel) -> float:
    """What a session of this model takes to learn: a copy of the weights, and one in the order of steps."""
    return 2 * sum(weight.nbytes for weight in weights_of(model).values()) / 2**20


def _is_within_word(text: str, place: int) -> bool:
    return all(char.isalnum() or char == "_" for char in text[place - 1 : place + 1])
