"""A text that is typed: what the model has read of it is kept in step with a cursor that moves and edits."""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from onward.data.vocabulary import LONGEST_WORD, Vocabulary
from onward.errors import InputError
from onward.inference.completion.boundaries import Until
from onward.inference.completion.options import Completing, Completion, Completions
from onward.inference.completion.search import Begun
from onward.inference.session import Session
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.online_learning import OnlineLearner
from onward.serve.engine.tokens import text_of

REACH = 4096
"""Symbols that a session goes back without reading its text anew."""

_LONGEST = 4
"""Symbols of a character, at most: its bytes."""

SLICE = 256
"""Symbols that are read before others have their turn: some ten milliseconds."""

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
class CompletionWanted:
    """What an answer has in it.

    Attributes:
        completions: how many, at most.
        until: where they end.
        shortest: characters of the shortest; one of a single character takes as long to accept as to type.
        next: how many next symbols.
    """

    completions: int = 3
    until: Until = "word"
    shortest: int = 2
    next: int = 10


class TypedText:
    """What the model has read of a text, up to the cursor. Belongs to the model's thread.

    With a vocabulary of words the word before the cursor is read when it is whole.

    Args:
        trained: the model.
        stepper: of the model, which all sessions that do not learn share.
        learner: learns from what is read; None: nothing does.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper, learner: OnlineLearner | None = None) -> None:
        self._trained, self._stepper, self.learner = trained, stepper, learner
        self._session: Session | None = None
        self._read = ""
        self._begun = ""
        self._found: tuple[CompletionWanted, tuple[Completion, ...]] | None = None

    @property
    def session(self) -> Session:
        """Where the model stands."""
        if self._session is None:
            model, vocabulary = self._trained.model, self._trained.vocabulary
            self._session = Session(model, vocabulary, reach=REACH, stepper=self._stepper)
            if self.learner:
                self.learner.attend(self._session)
        return self._session

    @property
    def megabytes(self) -> float:
        """What the states take, about."""
        session = self._session  # the model's thread may drop it meanwhile
        return 0.0 if session is None else session.megabytes

    def follow(self, text: str, cursor: int, changed: int) -> np.ndarray:
        """Goes back to where the text has changed.

        Args:
            text: as it is now.
            cursor: where the model is to stand.
            changed: characters at the beginning that are as they were.

        Returns:
            The symbols (N,) that are to be fed to the session, for it to stand at the cursor.
        """
        kept = self._back(text, cursor, changed)
        return self._trained.vocabulary.encode(self._read[kept:])

    def unread(self, cursor: int, changed: int) -> int:
        """How many characters there are before the cursor that would have to be read, about."""
        kept = min(cursor, changed, len(self._read))
        if len(self._read) - kept > REACH // _LONGEST:
            kept = 0  # it may be out of reach
        return cursor - kept

    def read(self, text: str, cursor: int, changed: int) -> Generator[None, None, int]:
        """The same, and reads in slices what is to be fed; a session that learns learns from what is new.

        Returns:
            How many symbols were read.
        """
        if self.learner:
            self.learner.follow(text)
        read = 0
        for part, learns in self._parts(self._back(text, cursor, changed)):
            read += len(self.session.feed(part, learns=learns))
            yield
        return read

    def _parts(self, kept: int) -> Iterator[tuple[str | np.ndarray, bool]]:
        """The slices of `_read` from a place on, and whether something is learned from each."""
        vocabulary = self._trained.vocabulary
        if self.learner:
            yield from self.learner.parts(kept, len(self._read), words=vocabulary.kind == "words")
            return
        ids = vocabulary.encode(self._read[kept:])
        for start in range(0, len(ids), SLICE):
            yield ids[start : start + SLICE], False

    def forget(self) -> None:
        """Drops what was learned; what was read with it is to be read anew."""
        if self.learner:
            self.learner.forget()
        self._session, self._read = None, ""

    def _back(self, text: str, cursor: int, changed: int) -> int:
        """Goes back to where the text has changed; from that place to the end of `_read` it is to be fed."""
        vocabulary = self._trained.vocabulary
        head = text[:cursor]
        self._begun = _begun(head, vocabulary)
        head = head[: len(head) - len(self._begun)]
        kept = min(changed, len(self._read), len(head))
        if vocabulary.kind == "words":
            while kept and (head[kept - 1].isalnum() or head[kept - 1] == "_"):
                kept -= 1
        back = len(vocabulary.encode(self._read[kept:])) if kept < len(self._read) else 0
        if back:
            self._found = None
            try:
                self.session.rollback(back)
            except InputError:  # out of reach
                self._session, kept = None, 0
        self._read = head
        return kept

    def begun(self, wish: CompletionWanted, effort: int) -> Begun:
        """Where the completions begin; they are looked for no longer than the effort allows."""
        return self.session.begun(_completing(wish, effort), self._begun)

    def complete(self, wish: CompletionWanted, effort: int) -> Completions:
        """The completions, with weights that may be its own."""
        return self.session.complete(self._begun, **asdict(_completing(wish, effort)))

    def remember(self, wish: CompletionWanted, found: Sequence[Completion]) -> None:
        """Keeps what was found here."""
        self._found = wish, tuple(found)

    def remembered(self, wish: CompletionWanted) -> tuple[Completion, ...]:
        """What is known of the completions here, from when fewer symbols had been typed."""
        return self._found[1] if self._found and self._found[0] == wish else ()

    def narrow(self, symbol: int | None) -> None:
        """Keeps of what was found that which goes on with the symbol that comes, with its probability then.

        Args:
            symbol: None: something else than one more symbol happened.
        """
        found, self._found = self._found, None
        if symbol is None or found is None or isinstance(found[0].until, int) or self._begun:
            return
        text = text_of(self._trained.vocabulary, symbol)
        logits = self.session.logits[0, 0].double()
        chance = float((logits - logits.logsumexp(0))[symbol].exp())
        if text and chance > 0.0:
            left = (
                Completion(each.text[len(text) :], min(1.0, each.probability / chance))
                for each in found[1]
                if each.text.startswith(text) and len(each.text) >= len(text) + found[0].shortest
            )
            self._found = found[0], tuple(left)


def _completing(wish: CompletionWanted, effort: int) -> Completing:
    """Best first no more prefixes advance at once than may be looked at; a beam is the narrower the less."""
    lanes = min(8, effort) if wish.until == "word" else max(8, wish.completions, effort // 2)
    return Completing(
        n=wish.completions, until=wish.until, shortest=wish.shortest, effort=effort, lanes=lanes
    )


def _begun(head: str, vocabulary: Vocabulary) -> str:
    """The word that is not whole yet, where words are symbols."""
    found = _WORD.search(head[-LONGEST_WORD:]) if vocabulary.kind == "words" else None
    return found[0] if found else ""
