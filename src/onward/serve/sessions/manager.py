"""The sessions of a server: who types what, and which of them are kept."""

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from onward.serve.engine.keystrokes import Keystroke
from onward.serve.engine.online_learning import Learned, OnlineLearner, megabytes_to_learn
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.engine.typed_text import SLICE, CompletionWanted, Edit, TypedText
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.sessions.store import SessionStore, StoredSession

_REMEMBERED = 10_000
_ANEW = "make a new session with the text that you have"


@dataclass
class TypingSession:
    """A session.

    Attributes:
        id, served: its name, and its model.
        text, cursor, version: as of the last edit.
        wish: of the last request.
        adapts: whether it learns.
        typed: what the model has read.
        learner: what it has learned, once it is read; None: that lies in the store, or it learns nothing.
        edits: that have come, so that one that was overtaken is known.
        lock: one edit at a time.
        used: when it was last used, on the clock of `time.monotonic`.
    """

    id: str
    served: ServedModel
    text: str = ""
    cursor: int = 0
    version: int = 0
    wish: CompletionWanted = field(default_factory=CompletionWanted)
    adapts: bool = False
    typed: TypedText | None = None
    learner: OnlineLearner | None = None
    edits: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    used: float = field(default_factory=time.monotonic)

    def saved(self) -> StoredSession:
        """As the store keeps it."""
        options = asdict(self.wish) | {"adapt": self.adapts}
        return StoredSession(
            self.id, self.served.name, self.text, self.cursor, self.version, options, time.time()
        )

    @property
    def megabytes(self) -> float:
        """What its states take, and the weights that it may have learned, about."""
        states = self.typed.megabytes if self.typed else 0.0
        return states + (megabytes_to_learn(self.served.trained.model) if self.adapts else 0.0)


class SessionManager:
    """All sessions; the least recently used ones go first.

    Args:
        models: that they may use.
        limits: how many there may be, how large and for how long.
        metrics: are told of those that end.
        store: keeps them, if there is one.
    """

    def __init__(
        self, models: ModelRegistry, limits: Limits, metrics: Metrics, store: SessionStore | None
    ) -> None:
        self._models, self._limits, self._metrics, self._store = models, limits, metrics, store
        self._kept: OrderedDict[str, TypingSession] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._asleep: dict[str, float] = {}  # in the store alone, and when each was last used
        for saved in sorted(store.sessions(), key=lambda saved: saved.used) if store else ():
            idle = time.time() - saved.used
            if idle < limits.session_seconds:
                self._restore(saved)
            else:
                self._asleep[saved.id] = time.monotonic() - idle

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def __iter__(self) -> Iterator[TypingSession]:
        """All, the least recently used first."""
        return iter(list(self._kept.values()))

    @property
    def megabytes(self) -> float:
        """What all take, about."""
        return sum(session.megabytes for session in self._kept.values())

    @property
    def adapting(self) -> list[TypingSession]:
        """Those that learn, the least recently used first."""
        return [session for session in self._kept.values() if session.adapts]

    async def get(self, id_: str) -> TypingSession:
        """A session, which counts as used now; one that had to go is read from the store again.

        Raises:
            Refusal: it has ended, or never was.
        """
        if self._asleep.get(id_, -math.inf) > self._oldest and self._store:
            saved = await self._store.find(id_)
            if saved and self._asleep.pop(id_, None) is not None:
                self._restore(saved)
        session = self._kept.get(id_)
        if session is None:
            if id_ in self._gone:
                raise _gone()
            raise ApiError(404, "session_not_found", f"there is no session {id_[:40]!r}", hint=_ANEW)
        session.used = time.monotonic()
        self._kept.move_to_end(id_)
        return session

    async def create(
        self, served: ServedModel, text: str, cursor: int, wish: CompletionWanted, *, adapts: bool = False
    ) -> dict[str, Any]:
        """A new session, and its first answer.

        Raises:
            Refusal: it is to learn, and there is no room for its weights.
        """
        session = TypingSession(
            f"s-{secrets.token_urlsafe(16)}", served, text, cursor, wish=wish, adapts=adapts
        )
        if adapts and self._are_too_many([*self.adapting, session]):
            raise _no_room_to_adapt(len(self.adapting))
        self._kept[session.id] = session
        try:
            if self._store:
                await self._store.add(session.saved())
            answer = await self._answer(session, 0)
        except BaseException:
            await self._end(session, None)
            raise
        await self.tidy()
        return answer

    async def edit(
        self,
        session: TypingSession,
        edit: Callable[[TypingSession], Edit] | None = None,
        wish: Callable[[CompletionWanted], CompletionWanted] | None = None,
        version: int | None = None,
        *,
        forgets: bool = False,
    ) -> dict[str, Any]:
        """Makes an edit and answers; it is on the disk before.

        Args:
            session: the session.
            edit: what is changed, for the text that there is once those before it are made; None: nothing.
            wish: what the answer is to have in it, for the wish that there is then; None: the same.
            version: that the session must have; None: any.
            forgets: whether what was learned is dropped first.

        Raises:
            Refusal: the version is not that of the session, the text becomes too long, or the session has
                ended while others were answered.
        """
        number = None
        if edit is not None:
            session.edits += 1
            number = session.edits
        async with session.lock:
            if self._kept.get(session.id) is not session:
                raise _gone()
            if version is not None and version != session.version:
                message = f"expected version {session.version} of the session, got {version}"
                raise ApiError(
                    409, "version_conflict", message, param="version", hint="read the session anew"
                )
            change = None if edit is None else edit(session)
            changed = (
                0 if forgets else len(session.text) if change is None else min(len(session.text), change.at)
            )
            await self._apply(session, change, wish(session.wish) if wish else session.wish)
            return await self._answer(session, changed, number, forgets)

    async def delete(self, id_: str) -> None:
        """Ends a session, once what is on its way is answered."""
        session = await self.get(id_)
        async with session.lock:
            await self._end(session, "deleted")

    async def tidy(self) -> None:
        """Ends what has expired, and what is too much, but nothing that is being answered."""
        before = self._oldest
        for session in self._idle():
            if session.used < before:
                await self._end(session, "expired")
        for id_ in [id_ for id_, used in self._asleep.items() if used < before]:
            del self._asleep[id_]
            self._forget(id_, "expired")
            if self._store:
                await self._store.remove(id_)
        for session in self._idle()[: max(0, len(self._kept) - self._limits.sessions)]:
            await self._end(session, "evicted")
        for session in [session for session in self._idle() if session.adapts]:
            if not self._are_too_many(self.adapting):
                break
            await self._end(session, "evicted")  # they came back from the store
        excess = self.megabytes - self._limits.session_megabytes
        for session in self:
            if excess <= 0:
                break
            excess -= session.typed.megabytes if session.typed else 0
            session.typed = None  # the text remains, and is read anew when it is next used

    @property
    def _oldest(self) -> float:
        """Sessions that were not used since are expired, on the clock of `time.monotonic`."""
        return time.monotonic() - self._limits.session_seconds

    def _idle(self) -> list[TypingSession]:
        """Those that nobody waits for, the least recently used first."""
        return [session for session in self if not session.lock.locked()]

    async def _apply(self, session: TypingSession, edit: Edit | None, wish: CompletionWanted) -> None:
        """Makes a change, of the text, the wish or both; it is in the store first."""
        is_other, text, cursor, version = wish != session.wish, session.text, session.cursor, session.version
        if edit is not None:
            size = len(text) - edit.delete + len(edit.insert)
            if size > self._limits.text_characters:
                message = f"expected a text of at most {self._limits.text_characters} characters, got {size}"
                hint = "begin a new session with the end of the text"
                raise ApiError(413, "too_large", message, param="insert", hint=hint)
            text, cursor, version = edit.applied(text), edit.cursor, version + 1
        after = replace(session, text=text, cursor=cursor, version=version, wish=wish).saved()
        if self._store and is_other:
            await self._store.add(after)
        elif self._store and edit is not None:
            await self._store.edit(after, edit)
        session.text, session.cursor, session.version, session.wish = text, cursor, version, wish

    async def _answer(
        self, session: TypingSession, changed: int, number: int | None = None, forgets: bool = False
    ) -> dict[str, Any]:
        """What is expected at the cursor; nothing, if another edit has come since."""
        engine = session.served.engine
        if session.adapts and session.learner is None:
            session.learner = OnlineLearner(await self._store.learned(session.id) if self._store else None)
        if session.typed is None:
            session.typed = TypedText(session.served.trained, engine.stepper, session.learner)
        key = Keystroke(
            session.typed, session.text, session.cursor, changed, session.wish,
            lambda: number is None or session.edits == number,
        )  # fmt: skip
        try:
            if session.learner or session.typed.unread(key.cursor, changed) > SLICE:
                await self._read(session, key, forgets)
                key = replace(key, changed=len(key.text))
            said = await engine.type(key)
        except BaseException:
            session.typed = None  # it may have read a part; the text is right
            raise
        self._metrics.symbols_read.inc(said.read)
        head = {"id": session.id, "model": session.served.name, "version": session.version}
        learned = session.learner.steps if session.learner else None
        told = {"length": len(key.text), "cursor": key.cursor, "learned": learned}
        return head | told | said.expected

    async def _read(self, session: TypingSession, key: Keystroke, forgets: bool) -> None:
        """Reads up to the cursor, in turn with others; what is learned of it is on the disk before."""
        learner, store = session.learner, self._store

        def read() -> Generator[None, None, tuple[int, Learned | None]]:
            if forgets:
                key.typed.forget()
            count = yield from key.typed.read(key.text, key.cursor, key.changed)
            return count, learner.news() if learner and store else None

        count, news = await session.served.engine.run(read())
        self._metrics.symbols_read.inc(count)
        if store and news:
            await store.learn(session.id, news)

    def _are_too_many(self, adapting: list[TypingSession]) -> bool:
        """Whether so many weights of their own are more than there may be."""
        size = sum(megabytes_to_learn(session.served.trained.model) for session in adapting)
        return len(adapting) > self._limits.adapting or size > self._limits.session_megabytes

    def _restore(self, saved: StoredSession) -> None:
        """Keeps a session of the store, unless its model is no longer served."""
        if any(served.name == saved.model for served in self._models):
            served, options = self._models.get(saved.model), dict(saved.options)
            adapts, wish = options.pop("adapt", False), CompletionWanted(**options)
            self._kept[saved.id] = TypingSession(
                saved.id, served, saved.text, saved.cursor, saved.version, wish=wish, adapts=adapts
            )

    async def _end(self, session: TypingSession, reason: str | None) -> None:
        """Keeps a session no longer; one that others drive out goes on in the store, if there is one."""
        if self._kept.pop(session.id, None) is None:
            return
        if self._store and reason == "evicted":
            self._asleep[session.id] = session.used
            return
        self._forget(session.id, reason)
        if self._store:
            await self._store.remove(session.id)

    def _forget(self, id_: str, reason: str | None) -> None:
        self._gone[id_] = None
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
        if reason:
            self._metrics.sessions_ended.labels(reason).inc()


def _gone() -> ApiError:
    return ApiError(410, "session_gone", "this session has ended", hint=_ANEW)


def _no_room_to_adapt(number: int) -> ApiError:
    message = f"expected adapt to be false: {number} sessions learn already, and there is no room for another"
    hint = "end one of them, or let this one read without learning"
    return ApiError(429, "too_many_adapting", message, param="adapt", hint=hint)
