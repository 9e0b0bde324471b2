"""Typing sessions in an SQLite file: each edit is on the disk before it is acknowledged.

The file holds the text of a session at some version, and the edits since; from time to time the edits are
folded into the text, so they take little space. All changes that wait are written in one transaction, so that
many sessions share one flush of the disk.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from onward.errors import ArtefactError, InputError, WriteError
from onward.in_place import PRIVATE, create_private
from onward.inference.scoring.protocol import Learn
from onward.printable import shown_value
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.online_learning import LearnedState
from onward.serve.http.limits import MEGABYTE
from onward.serve.sessions.document import Document, Edit
from onward.stored import AsTuple, Count, Finite, StoredModel, checked, refusing_damage
from onward.stored_tables import definitions_in, definitions_of

FORMAT = 2
FOLD_EVERY, FOLD_BYTES = 256, 1 << 16
"""Maximum number of edits of a session in the file, besides its text, and of bytes that they insert."""

_ROW_BYTES = 512
"""Approximate size of a session in the file without its text."""

_WAL_BYTES = 16 * MEGABYTE
"""Size to which SQLite's log of changes is cut after a large transaction."""

_HINT = "name another file with --state, or delete this one to start without sessions"
_TABLES = """
create table if not exists sessions (
    id text primary key, model text not null, text blob not null, cursor integer not null,
    version integer not null, options text not null, used real not null) without rowid;
create table if not exists edits (
    id text not null, version integer not null, at integer not null, deleted integer not null,
    inserted blob not null, cursor integer not null, primary key (id, version)) without rowid;
create table if not exists learned (
    id text primary key, weights blob not null, text blob not null, known text not null);
"""
_SIZES = """
select
    id, length(text), (select coalesce(sum(length(inserted)), 0) from edits where edits.id = s.id),
    coalesce((select length(weights) + length(text) + length(known) from learned where learned.id = s.id), 0)
from sessions s
"""


@dataclass(frozen=True)
class StoredSession:
    """A session as the store keeps it.

    Attributes:
        id, model: names of the session and of its model.
        document: document of the session.
        learn: what learns from its text.
        used: when it was last used, in seconds since 1970.
    """

    id: str
    model: str
    document: Document
    learn: Learn
    used: float


class IndexEntry(NamedTuple):
    """A session in the store, without its text.

    Attributes:
        id, model, used: see `StoredSession`.
    """

    id: str
    model: str
    used: Finite


class _SessionRow(NamedTuple):
    """A row of the table of sessions."""

    model: str
    text: bytes
    cursor: Count
    version: Count
    options: str
    used: Finite


class _StoredOptions(StoredModel):
    """The options of a row, with the limits of `CompletionOptions`."""

    completions: Annotated[int, Field(ge=0, le=20)] = 3
    until: Literal["word", "line"] | Annotated[int, Field(ge=1, le=100)] = "word"
    shortest: Annotated[int, Field(ge=1, le=100)] = 2
    next: Annotated[int, Field(ge=0, le=100)] = 10
    learn: Learn = "memory"
    adapt: bool = False  # of older files: the same as "both"


_Spans = list[Annotated[tuple[Count, Count], AsTuple]]


@dataclass
class _Size:
    """Bytes of a session in the file."""

    text: int = 0
    edits: int = 0
    learned: int = 0

    @property
    def total(self) -> int:
        return _ROW_BYTES + self.text + self.edits + self.learned


class SessionStore:
    """An SQLite file of sessions.

    Args:
        path: path of the file, which is created if it does not exist.

    Raises:
        InputError: the file is something else, or was written by another version.
        WriteError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onward-store")
        self._waiting: list[tuple[Callable[[], None], Future[None]]] = []
        try:
            create_private(path)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            (found,) = self._database.execute("pragma user_version").fetchone()
            if found not in (0, FORMAT):  # a new file has 0
                message = f"expected format {FORMAT} of {path}, got format {found}"
                raise InputError(message, hint=f"use the version of onward that wrote it; or {_HINT}")
            if not definitions_in(self._database) <= definitions_of(_TABLES):
                raise _damaged(path, "its tables are not those of a file of sessions")
            path.chmod(PRIVATE)  # it holds what people type
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._database.execute(f"pragma journal_size_limit = {_WAL_BYTES}")
            self._database.executescript(_TABLES)
            self._database.execute(f"pragma user_version = {FORMAT}")
            self._sizes = {id_: _Size(*sizes) for id_, *sizes in self._database.execute(_SIZES)}
        except (OSError, sqlite3.OperationalError) as error:
            reason = getattr(error, "strerror", None) or error
            raise WriteError(f"cannot keep sessions in {path}: {reason}", hint="name another file") from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"cannot keep sessions in {path}: {error}", hint="name another file") from error

    @property
    def megabytes(self) -> float:
        """Approximate size of all sessions in the file."""
        return sum(size.total for size in self._sizes.values()) / MEGABYTE

    def megabytes_of(self, id_: str) -> float:
        """Returns the approximate size of a session in the file."""
        return self._sizes[id_].total / MEGABYTE if id_ in self._sizes else 0.0

    def index(self) -> list[IndexEntry]:
        """Returns all sessions without their texts, the most recently used first."""
        rows = self._database.execute("select id, model, used from sessions order by used desc")
        with refusing_damage("the list of sessions", _HINT):
            return [checked(IndexEntry, row) for row in rows]

    def load(self, id_: str) -> StoredSession | None:
        """Loads one session as of its last acknowledged edit, if it exists.

        Raises:
            ArtefactError: the session is damaged.
        """
        columns = "model, text, cursor, version, options, used"
        row = self._database.execute(f"select {columns} from sessions where id = ?", (id_,)).fetchone()
        if row is None:
            return None
        with refusing_damage(f"the session {shown_value(id_)}", _HINT):
            found = checked(_SessionRow, row)
            stored = _StoredOptions.model_validate(json.loads(found.options))
            options = AnswerOptions(stored.completions, stored.until, stored.shortest, stored.next)
            document = Document(_decoded(found.text), found.cursor, found.version, options)
            _check_cursor(document)
            for edit in self._edits(id_, found.version):
                _check_edit(edit, document)
                document = document.after(edit)
                _check_cursor(document)
        return StoredSession(id_, found.model, document, "both" if stored.adapt else stored.learn, found.used)

    async def find(self, id_: str) -> StoredSession | None:
        """Loads one session while requests are answered."""
        return await asyncio.wrap_future(self._thread.submit(self.load, id_))

    async def put(self, session: StoredSession) -> None:
        """Saves a session in place of its earlier version.

        Raises:
            WriteError: the file cannot be written.
        """
        text = _encoded(session.document.text)
        await self._write(lambda: self._put(session, text))
        size = self._sizes.setdefault(session.id, _Size())
        size.text, size.edits = len(text), 0

    async def put_edit(self, session: StoredSession, edit: Edit) -> None:
        """Saves an edit.

        Args:
            session: after the edit.
            edit: its last edit.

        Raises:
            WriteError: the file cannot be written.
        """
        document, inserted = session.document, _encoded(edit.insert)
        size = self._sizes.setdefault(session.id, _Size())
        if document.version % FOLD_EVERY == 0 or size.edits + len(inserted) > FOLD_BYTES:
            await self.put(session)
            return
        values = (session.id, document.version, edit.at, edit.delete, inserted, edit.cursor)

        def insert() -> None:
            self._execute("insert into edits values (?, ?, ?, ?, ?, ?)", values)
            self._execute("update sessions set used = ? where id = ?", (time.time(), session.id))

        await self._write(insert)
        size.edits += len(inserted)

    async def save_learned(self, id_: str, learned: LearnedState) -> None:
        """Saves the learned state of a session, unless the session has ended.

        Raises:
            WriteError: the file cannot be written.
        """
        values = (learned.weights, _encoded(learned.text), json.dumps(learned.spans))
        await self._write(
            lambda: self._execute(
                "insert or replace into learned select ?, ?, ?, ? "
                "where exists (select 1 from sessions where id = ?)",
                (id_, *values, id_),
            )
        )
        if id_ in self._sizes:
            self._sizes[id_].learned = sum(len(value) for value in values)

    async def learned(self, id_: str) -> LearnedState | None:
        """Loads the learned state of a session; None if it has learned nothing."""
        statement = "select weights, text, known from learned where id = ?"
        found = self._thread.submit(lambda: self._database.execute(statement, (id_,)).fetchone())
        row = await asyncio.wrap_future(found)
        if row is None:
            return None
        with refusing_damage(f"what the session {shown_value(id_)} has learned", _HINT):
            weights, text, known = checked(tuple[bytes, bytes, str], row)
            learned = LearnedState(weights, _decoded(text), checked(_Spans, json.loads(known)))
            if any(start > end or end > len(learned.text) for start, end in learned.spans):
                raise ValueError("expected spans of the text")
        return learned

    async def remove(self, id_: str) -> None:
        """Removes a session.

        Raises:
            WriteError: the file cannot be written.
        """

        def remove() -> None:
            self._execute("delete from sessions where id = ?", (id_,))
            self._execute("delete from edits where id = ?", (id_,))
            self._execute("delete from learned where id = ?", (id_,))

        await self._write(remove)
        self._sizes.pop(id_, None)

    def close(self) -> None:
        """Finishes the changes that wait, and closes the file."""
        self._thread.shutdown(wait=True)
        self._database.close()

    def _edits(self, id_: str, after: int) -> Iterator[Edit]:
        rows = self._database.execute(
            "select at, deleted, inserted, cursor from edits where id = ? and version > ? order by version",
            (id_, after),
        )
        for row in rows.fetchall():
            at, deleted, inserted, cursor = checked(tuple[Count, Count, bytes, Count], row)
            yield Edit(at, deleted, _decoded(inserted), cursor)

    def _put(self, session: StoredSession, text: bytes) -> None:
        document = session.document
        options = asdict(document.options) | {"learn": session.learn}
        values = (
            session.id,
            session.model,
            text,
            document.cursor,
            document.version,
            json.dumps(options),
            time.time(),
        )
        self._execute("insert or replace into sessions values (?, ?, ?, ?, ?, ?, ?)", values)
        self._execute("delete from edits where id = ?", (session.id,))

    def _execute(self, statement: str, values: tuple[Any, ...]) -> None:
        self._database.execute(statement, values)

    async def _write(self, change: Callable[[], None]) -> None:
        """Makes a change together with other changes that wait; returns when it is on the disk."""
        done: Future[None] = Future()
        self._waiting.append((change, done))
        if len(self._waiting) == 1:
            self._thread.submit(self._flush)
        await asyncio.shield(asyncio.wrap_future(done))

    def _flush(self) -> None:
        """Writes all changes that wait in one transaction; a change that fails is undone alone."""
        changes, self._waiting = self._waiting, []
        failed: dict[int, Exception] = {}
        try:
            self._execute("begin immediate", ())
            for number, (change, _) in enumerate(changes):
                self._execute("savepoint change", ())
                try:
                    change()
                except Exception as error:
                    failed[number] = error
                    self._execute("rollback to change", ())
                self._execute("release change", ())
            self._execute("commit", ())
        except Exception as error:  # a full disk ends the transaction
            failed = dict.fromkeys(range(len(changes)), error)
            if self._database.in_transaction:
                self._execute("rollback", ())
        for number, (_, done) in enumerate(changes):
            if number in failed:
                done.set_exception(_write_error(failed[number]))
            else:
                done.set_result(None)


def _damaged(path: Path, reason: str) -> ArtefactError:
    return ArtefactError(f"{path} is damaged: {reason}", hint=_HINT)


def _check_cursor(document: Document) -> None:
    if document.cursor > len(document.text):
        raise ValueError(f"expected a cursor up to {len(document.text)}, found {document.cursor}")


def _check_edit(edit: Edit, document: Document) -> None:
    if edit.at + edit.delete > len(document.text):
        raise ValueError(f"expected an edit up to {len(document.text)}, found {edit.at} + {edit.delete}")


def _write_error(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    if isinstance(error, sqlite3.OperationalError):
        hint = "check that the file is writable and that the disk has free space"
    else:
        hint = "report this as a bug in onward"
    return WriteError(f"cannot save a session: {error}", hint=hint)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
