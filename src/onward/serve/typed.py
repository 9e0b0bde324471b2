"""A text that is typed: what the model has read of it is kept in step with a cursor that moves and edits."""

import re
from dataclasses import dataclass
from typing import Any

from onward.data.vocabulary import LONGEST_WORD, Vocabulary
from onward.errors import InputError
from onward.inference.boundary import Until
from onward.inference.session import Session
from onward.inference.trained import TrainedModel
from onward.serve.tokens import expected

REACH = 4096
"""Symbols that a session goes back without reading its text anew."""

_WORD = re.compile(rf"\w{{1,{LONGEST_WORD}}}\Z")


@dataclass(frozen=True)
class Edit:
    """At a place of the text so many characters go, and others come; then the cursor stands at a place."""

    at: int
    delete: int
    insert: str
    cursor: int

    def applied(self, text: str) -> str:
        """The text after it."""
        return text[: self.at] + self.insert + text[self.at + self.delete :]


@dataclass(frozen=True)
class Wish:
    """What an answer has in it: how many completions up to what, and how many next symbols."""

    completions: int = 3
    until: Until = "word"
    next: int = 10


class Typed:
    """What the model has read of a text, up to the cursor. Belongs to the model's thread.

    With a vocabulary of words the word before the cursor is read when it is whole.

    Args:
        trained: the model.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self._trained = trained
        self._session: Session | None = None
        self._read = ""
        self._begun = ""

    @property
    def megabytes(self) -> float:
        """What the states take, about."""
        return 0.0 if self._session is None else self._session.megabytes

    def move(self, text: str, cursor: int, changed: int) -> int:
        """Follows the text to the cursor; how many symbols were read.

        Args:
            text: as it is now.
            cursor: where the model is to stand.
            changed: characters at the beginning that are as they were.
        """
        vocabulary = self._trained.vocabulary
        head = text[:cursor]
        self._begun = _begun(head, vocabulary)
        head = head[: len(head) - len(self._begun)]
        kept = min(changed, len(self._read), len(head))
        if vocabulary.kind == "words":
            while kept and (head[kept - 1].isalnum() or head[kept - 1] == "_"):
                kept -= 1
        back = len(vocabulary.encode(self._read[kept:]))
        session = self._session
        if session is not None and back:
            try:
                session.rollback(back)
            except InputError:  # out of reach
                session = None
        if session is None:
            session, kept = self._trained.session(reach=REACH), 0
        ids = vocabulary.encode(head[kept:])
        session.feed(ids)
        self._session, self._read = session, head
        return len(ids)

    def answer(self, wish: Wish, effort: int) -> dict[str, Any]:
        """What is expected at the cursor; completions are looked for no longer than the effort allows."""
        session, vocabulary = self._session, self._trained.vocabulary
        assert session is not None
        found = (
            session.complete(self._begun, n=wish.completions, until=wish.until, effort=effort)
            if wish.completions
            else ()
        )
        probabilities = session.next_distribution().probabilities if wish.next else None
        return {
            "completions": [{"text": each.text, "probability": float(each.probability)} for each in found],
            "next": [] if probabilities is None else expected(vocabulary, probabilities, wish.next),
        }


def _begun(head: str, vocabulary: Vocabulary) -> str:
    """The word that is not whole yet, where words are symbols."""
    found = _WORD.search(head[-LONGEST_WORD:]) if vocabulary.kind == "words" else None
    return found[0] if found else ""
