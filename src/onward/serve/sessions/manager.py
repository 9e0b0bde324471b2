"""Manages the typing sessions of a server: looks them up, and removes old or excess sessions."""

import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator

from onward.inference.scoring.protocol import Learn
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.sessions.document import Document
from onward.serve.sessions.store import SessionStore, StoredSession
from onward.serve.sessions.typing_session import SessionPrediction, TypingSession, session_gone

_MAX_ENDED = 10_000


class SessionManager:
    """The sessions in memory, the least recently used first, and the sessions that are only in the store.

    Args:
        models: the served models.
        limits: number, size and lifetime of sessions.
        metrics: count the sessions that end.
        store: saves the sessions; None: they end with the server.
        server: name of the server, which the ids of its sessions begin with; "": they begin with no name.
    """

    def __init__(
        self,
        models: ModelRegistry,
        limits: Limits,
        metrics: Metrics,
        store: SessionStore | None,
        server: str = "",
    ) -> None:
        self._prefix = f"s-{server}-" if server else "s-"
        self._models, self._limits, self._metrics, self._store = models, limits, metrics, store
        self._sessions: OrderedDict[str, TypingSession] = OrderedDict()
        self._stored_only: dict[str, float] = {}  # times of last use, on the clock of time.monotonic
        self._ended: OrderedDict[str, None] = OrderedDict()
        if store:
            self._restore_recent(store)

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[TypingSession]:
        return iter(list(self._sessions.values()))

    @property
    def megabytes(self) -> float:
        """Approximate size of all sessions."""
        return sum(session.megabytes for session in self)

    @property
    def adapting(self) -> list[TypingSession]:
        """The sessions that learn, the least recently used first."""
        return [session for session in self if session.adapts]

    async def get(self, id_: str) -> TypingSession:
        """Returns a session, and counts it as used. A session that was evicted is loaded from the store.

        Raises:
            ApiError: 404, there is no such session; 410, it has ended.
        """
        if self._store and self._stored_only.get(id_, -math.inf) > self._expiry:
            stored = await self._store.find(id_)
            if stored and stored.model in self._models and self._stored_only.pop(id_, None) is not None:
                self._sessions[id_] = self._restored(stored)
        session = self._sessions.get(id_)
        if session is None:
            if id_ in self._ended:
                raise session_gone()
            message = f"there is no session {id_[:40]!r}"
            raise ApiError(404, "session_not_found", message, hint="create a new session with your text")
        session.last_used = time.monotonic()
        self._sessions.move_to_end(id_)
        return session

    async def create(
        self, served: ServedModel, document: Document, *, learn: Learn = "memory"
    ) -> SessionPrediction:
        """Creates a session, and returns its first answer.

        Raises:
            ApiError: 429, there is no memory for another session that adapts.
        """
        session = self._make(f"{self._prefix}{secrets.token_urlsafe(16)}", served, document, learn=learn)
        if session.adapts and self._are_too_many([*self.adapting, session]):
            message = f"expected adapt to be false, since {len(self.adapting)} sessions are adapting already"
            hint = "delete one of them, or create this session without adapt"
            raise ApiError(429, "too_many_adapting", message, param="adapt", hint=hint)
        self._sessions[session.id] = session
        try:
            await session.save()
            answer = await session.predict()
        except BaseException:
            await self._end(session, None)
            raise
        await self.enforce_limits()
        return answer

    async def delete(self, id_: str) -> None:
        """Ends a session after the requests that wait for it.

        Raises:
            ApiError: see `get`.
        """
        session = await self.get(id_)
        async with session.lock:
            await self._end(session, "deleted")

    async def enforce_limits(self) -> None:
        """Ends sessions that have expired or are too many, and frees memory and disk space above the limits.

        States are dropped first; a session without states still has its text. A session that is being
        answered does not end, nor does the most recently used one.
        """
        await self._end_expired()
        await self._end_excess()
        await self._free_memory()
        await self._free_disk()

    async def _end_excess(self) -> None:
        """Ends sessions above their maximum number, and those that adapt above theirs."""
        for session in self._idle()[: max(0, len(self) - self._limits.sessions)]:
            await self._end(session, "evicted")
        for session in self._idle():
            if not self._are_too_many(self.adapting):
                break
            if session.adapts:  # too many came back from the store
                await self._end(session, "evicted")

    async def _free_memory(self) -> None:
        """Drops states, then ends sessions, down to the limit of memory."""
        excess = self.megabytes - self._limits.session_megabytes
        for session in self:
            if excess <= 0:
                break
            excess -= session.state_megabytes
            session.follower.drop_states()
        for session in self._idle()[:-1]:
            if excess <= 0:
                break
            excess -= session.megabytes
            await self._end(session, "evicted")

    async def _free_disk(self) -> None:
        """Removes sessions that are only in the store, the least recently used first, down to the limit."""
        if not self._store:
            return
        excess = self._store.megabytes - self._limits.stored_megabytes
        for id_ in sorted(self._stored_only, key=self._stored_only.__getitem__) if excess > 0 else ():
            if excess <= 0:
                break
            if self._stored_only.pop(id_, None) is not None:
                excess -= self._store.megabytes_of(id_)
                await self._remove(id_, "evicted")

    @property
    def _expiry(self) -> float:
        """Sessions that were last used before this time have expired, on the clock of `time.monotonic`."""
        return time.monotonic() - self._limits.session_seconds

    def _idle(self) -> list[TypingSession]:
        """Sessions that are not being answered."""
        return [session for session in self if not session.lock.locked()]

    async def _end_expired(self) -> None:
        expiry = self._expiry
        for session in self._idle():
            if session.last_used < expiry:
                await self._end(session, "expired")
        for id_ in [id_ for id_, last_used in self._stored_only.items() if last_used < expiry]:
            del self._stored_only[id_]
            await self._remove(id_, "expired")

    def _are_too_many(self, adapting: list[TypingSession]) -> bool:
        """Whether there is no memory for the weights of these sessions."""
        megabytes = sum(session.weight_megabytes for session in adapting)
        return len(adapting) > self._limits.adapting or megabytes > self._limits.session_megabytes

    def _make(self, id_: str, served: ServedModel, document: Document, *, learn: Learn) -> TypingSession:
        return TypingSession(
            id_,
            served,
            document,
            learn=learn,
            store=self._store,
            max_characters=self._limits.text_characters,
        )

    def _restore_recent(self, store: SessionStore) -> None:
        """Loads the most recently used sessions into memory, as many as fit."""
        megabytes = 0.0
        for entry in store.index():
            idle = time.time() - entry.used
            fits = len(self) < self._limits.sessions and megabytes < self._limits.session_megabytes
            stored = store.load(entry.id) if fits and entry.model in self._models else None
            if stored and idle < self._limits.session_seconds:
                self._sessions[entry.id] = self._restored(stored)
                megabytes += self._sessions[entry.id].megabytes
            else:
                self._stored_only[entry.id] = time.monotonic() - idle
        self._sessions = OrderedDict(reversed(self._sessions.items()))

    def _restored(self, stored: StoredSession) -> TypingSession:
        """Returns a session from the store. Its model must be served."""
        served = self._models.get(stored.model)
        return self._make(stored.id, served, stored.document, learn=stored.learn)

    async def _end(self, session: TypingSession, reason: str | None) -> None:
        """Ends a session; one that is evicted remains in the store, if there is one."""
        if self._sessions.pop(session.id, None) is None:
            return
        session.is_ended = True
        if self._store and reason == "evicted":
            self._stored_only[session.id] = session.last_used
        else:
            await self._remove(session.id, reason)

    async def _remove(self, id_: str, reason: str | None) -> None:
        """Removes a session that has ended, also from the store."""
        self._ended[id_] = None
        while len(self._ended) > _MAX_ENDED:
            self._ended.popitem(last=False)
        if reason:
            self._metrics.sessions_ended.labels(reason).inc()
        if self._store:
            await self._store.remove(id_)
