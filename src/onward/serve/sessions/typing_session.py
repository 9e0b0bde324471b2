"""A typing session: a document, and a model that follows it."""

import asyncio
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from onward.inference.scoring.protocol import Learn, learns_weights
from onward.serve.engine.keystrokes import CancellationToken, Prediction
from onward.serve.engine.online_learning import megabytes_to_learn
from onward.serve.engine.registry import ServedModel
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import MEGABYTE
from onward.serve.sessions.document import Document, DocumentChange
from onward.serve.sessions.follower import ModelFollower, Watch
from onward.serve.sessions.store import SessionStore, StoredSession

_OBJECT_BYTES = 8192
"""Approximate size of a session without its text."""


@dataclass(frozen=True)
class SessionPrediction:
    """A session, and what may follow at its cursor.

    Attributes:
        id, model: names of the session and of its model.
        document: document of the session.
        learned: number of blocks that the session has learned; None if it does not adapt.
        prediction: what may follow at the cursor.
    """

    id: str
    model: str
    document: Document
    learned: int | None
    prediction: Prediction

    def to_json(self) -> dict[str, Any]:
        """The body of the response."""
        completions, following = self.prediction.completions, self.prediction.next
        return {
            "id": self.id,
            "model": self.model,
            "version": self.document.version,
            "length": len(self.document.text),
            "cursor": self.document.cursor,
            "learned": self.learned,
            "completions": None
            if completions is None
            else [{"text": each.text, "probability": float(each.probability)} for each in completions],
            "next": None if following is None else [each._asdict() for each in following],
        }


class TypingSession:
    """A typing session.

    Args:
        id_: its name.
        served: its model.
        document: its text.
        learn: what learns from its text.
        store: the store that saves it; None: it is not saved.
        max_characters: length of the longest text.

    Attributes:
        id, served, document, learn: as given.
        follower: the model's part of the session.
        lock: held while a request is answered.
        last_used: on the clock of `time.monotonic`.
        is_ended: whether it was deleted, has expired or was evicted.
    """

    def __init__(
        self,
        id_: str,
        served: ServedModel,
        document: Document,
        *,
        learn: Learn,
        store: SessionStore | None,
        max_characters: int,
    ) -> None:
        self.id, self.served, self.document = id_, served, document
        self.learn: Learn = learn
        self.follower = ModelFollower(id_, served, store, learn=learn)
        self.lock = asyncio.Lock()
        self.last_used = time.monotonic()
        self.is_ended = False
        self._store, self._max_characters = store, max_characters
        self._newest_edit = CancellationToken()

    @property
    def adapts(self) -> bool:
        """Whether it has weights of its own, which learn from its text."""
        return learns_weights(self.learn)

    @property
    def megabytes(self) -> float:
        """Approximate size of its text and states, and of its weights if it adapts."""
        text = self.document.text
        size = _OBJECT_BYTES + sys.getsizeof(text) + self.follower.learned_bytes(text)
        return size / MEGABYTE + self.state_megabytes + self.weight_megabytes

    @property
    def state_megabytes(self) -> float:
        """Approximate size of what can be dropped: its states, and the text that they have read."""
        return self.follower.state_megabytes(self.document.text)

    @property
    def weight_megabytes(self) -> float:
        """Size of its own weights, 0 if it does not adapt."""
        return megabytes_to_learn(self.served.trained.model) if self.adapts else 0.0

    async def save(self) -> None:
        """Saves the session as it is, if there is a store."""
        if self._store:
            await self._store.put(self._stored(self.document))

    async def predict(self) -> SessionPrediction:
        """Predicts what follows at the cursor of a new session."""
        return await self._answer(0, CancellationToken(), forget=False)

    async def edit(self, change: DocumentChange, watch: Watch = asyncio.ensure_future) -> SessionPrediction:
        """Makes a change, saves it, and predicts what follows.

        Changes are made in order. An edit gets no prediction if another one arrives before its turn.

        Args:
            change: the change.
            watch: reads a long text for the client. If the client leaves, it may cancel that and raise an
                error; the change is made nevertheless.

        Raises:
            ApiError: 400, a position is outside the text, or there is nothing to forget; 409, the document
                has another version; 410, the session has ended; 413, the text becomes too long.
        """
        if change.forget and not self.adapts:
            message = "expected forget to be false, since this session does not adapt"
            raise ApiError(400, "invalid_value", message, param="forget", hint="leave forget out")
        cancellation = CancellationToken()
        if change.has_edit:
            self._newest_edit.is_cancelled = True
            self._newest_edit = cancellation
        async with self.lock:
            if self.is_ended:
                raise session_gone()
            unchanged = await self._apply(change)
            unchanged = 0 if change.forget else unchanged
            return await self._answer(unchanged, cancellation, forget=change.forget, watch=watch)

    async def _apply(self, change: DocumentChange) -> int:
        """Changes the document, in the store first. Returns the length of the unchanged beginning."""
        before = self.document
        edit = change.edit_of(before)
        after = replace(before, options=change.options_of(before))
        unchanged = len(before.text)
        if edit:
            size = len(before.text) - edit.delete + len(edit.insert)
            if size > self._max_characters:
                message = f"expected a text of at most {self._max_characters} characters, got {size}"
                hint = "create a new session with the end of the text"
                raise ApiError(413, "too_large", message, param="insert", hint=hint)
            after = after.after(edit)
            unchanged = min(unchanged, edit.at)
        if self._store and after.options != before.options:
            await self._store.put(self._stored(after))
        elif self._store and edit:
            await self._store.put_edit(self._stored(after), edit)
        self.document = after
        return unchanged

    async def _answer(
        self,
        unchanged: int,
        cancellation: CancellationToken,
        *,
        forget: bool,
        watch: Watch = asyncio.ensure_future,
    ) -> SessionPrediction:
        prediction = await self.follower.predict(
            self.document, unchanged, cancellation, forget=forget, watch=watch
        )
        learned = self.follower.learned_blocks
        return SessionPrediction(self.id, self.served.name, self.document, learned, prediction)

    def _stored(self, document: Document) -> StoredSession:
        return StoredSession(self.id, self.served.name, document, self.learn, time.time())


def session_gone() -> ApiError:
    """The error for a session that has ended."""
    hint = "create a new session with your text"
    return ApiError(410, "session_gone", "this session has ended", hint=hint)
