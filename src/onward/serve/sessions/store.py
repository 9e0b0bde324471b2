"""Sessions in a file of SQLite: each edit is on the disk before it is acknowledged.

A session is its text at some version, and the edits since; a long list of edits is folded into the text.
All that waits to be written goes into one transaction, so many sessions share one flush of the disk.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onward.errors import InputError, WriteError
from onward.serve.engine.online_learning import Learned
from onward.serve.engine.typed_text import Edit

FORMAT = 2
_FOLD = 256
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


@dataclass(frozen=True)
class StoredSession:
    """A session as it is kept: options are plain values; used in seconds since 1970."""

    id: str
    model: str
    text: str
    cursor: int
    version: int
    options: dict[str, Any]
    used: float


class SessionStore:
    """The file.

    Args:
        path: is made if it is not there.

    Raises:
        InputError: it is no file of sessions, or of a later version.
        WriteError: the disk refused.
    """

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onward-store")
        self._waiting: list[tuple[Callable[[], None], Future[None]]] = []
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            (found,) = self._database.execute("pragma user_version").fetchone()
            if not 0 <= found <= FORMAT:  # 1 had no weights that were learned
                raise InputError(f"{path} has format {found}, expected {FORMAT}", hint="update onward")
            path.chmod(0o600)  # what people type is nobody else's
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._database.executescript(_TABLES)
            self._database.execute(f"pragma user_version = {FORMAT}")
        except sqlite3.DatabaseError as error:
            kind = WriteError if isinstance(error, sqlite3.OperationalError) else InputError
            raise kind(f"cannot keep sessions in {path}: {error}", hint="name another file") from error

    def sessions(self) -> Iterator[StoredSession]:
        """All sessions that were saved, each as its last acknowledged edit left it."""
        yield from self._saved("true", ())

    async def find(self, id_: str) -> StoredSession | None:
        """One of them, if there is one of that name."""
        found = self._thread.submit(lambda: next(self._saved("id = ?", (id_,)), None))
        return await asyncio.wrap_future(found)

    async def add(self, saved: StoredSession) -> None:
        """Keeps a session as it is, in place of what was kept of it."""
        await self._write(lambda: self._put(saved))

    async def edit(self, saved: StoredSession, edit: Edit) -> None:
        """Keeps an edit, of which `saved` is the result."""
        if saved.version % _FOLD == 0:
            await self.add(saved)
            return
        values = (saved.id, saved.version, edit.at, edit.delete, _raw(edit.insert), edit.cursor)

        def insert() -> None:
            self._execute("insert into edits values (?, ?, ?, ?, ?, ?)", values)
            self._execute("update sessions set used = ? where id = ?", (time.time(), saved.id))

        await self._write(insert)

    async def learn(self, id_: str, learned: Learned) -> None:
        """Keeps what a session has learned, in place of what it had; nothing if the session has ended."""
        values = (id_, learned.weights, _raw(learned.text), json.dumps(learned.known), id_)
        await self._write(
            lambda: self._execute(
                "insert or replace into learned select ?, ?, ?, ? "
                "where exists (select 1 from sessions where id = ?)",
                values,
            )
        )

    async def learned(self, id_: str) -> Learned | None:
        """What a session had learned, if it had learned anything."""
        statement = "select weights, text, known from learned where id = ?"
        found = self._thread.submit(lambda: self._database.execute(statement, (id_,)).fetchone())
        row = await asyncio.wrap_future(found)
        return row and Learned(row[0], row[1].decode("utf-8", "surrogatepass"), json.loads(row[2]))

    async def remove(self, id_: str) -> None:
        """Forgets a session."""

        def remove() -> None:
            self._execute("delete from sessions where id = ?", (id_,))
            self._execute("delete from edits where id = ?", (id_,))
            self._execute("delete from learned where id = ?", (id_,))

        await self._write(remove)

    def close(self) -> None:
        """Ends what is being written, and closes the file."""
        self._thread.shutdown(wait=True)
        self._database.close()

    def _saved(self, condition: str, values: tuple[str, ...]) -> Iterator[StoredSession]:
        columns = "id, model, text, cursor, version, options, used"
        rows = self._database.execute(f"select {columns} from sessions where {condition}", values)
        for id_, model, text, cursor, version, options, used in rows.fetchall():
            now, at, number = text.decode("utf-8", "surrogatepass"), cursor, version
            for edit_version, edit in self._edits(id_, version):
                now, at, number = edit.applied(now), edit.cursor, edit_version
            yield StoredSession(id_, model, now, at, number, json.loads(options), used)

    def _edits(self, id_: str, after: int) -> Iterator[tuple[int, Edit]]:
        rows = self._database.execute(
            "select version, at, deleted, inserted, cursor from edits "
            "where id = ? and version > ? order by version",
            (id_, after),
        )
        for version, at, deleted, inserted, cursor in rows.fetchall():
            yield version, Edit(at, deleted, inserted.decode("utf-8", "surrogatepass"), cursor)

    def _put(self, saved: StoredSession) -> None:
        values = asdict(saved) | {
            "text": _raw(saved.text),
            "options": json.dumps(saved.options),
            "used": time.time(),
        }
        self._execute(
            "insert or replace into sessions values (:id, :model, :text, :cursor, :version, :options, :used)",
            values,
        )
        self._execute("delete from edits where id = ?", (saved.id,))

    def _execute(self, statement: str, values: Any) -> None:
        self._database.execute(statement, values)

    async def _write(self, change: Callable[[], None]) -> None:
        """Makes a change with those that wait beside it; returns when it is on the disk."""
        done: Future[None] = Future()
        self._waiting.append((change, done))
        if len(self._waiting) == 1:
            self._thread.submit(self._flush)
        await asyncio.shield(asyncio.wrap_future(done))

    def _flush(self) -> None:
        """One transaction of all that waits; a change that fails is undone and told alone."""
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
            done.set_exception(_unsaved(failed[number])) if number in failed else done.set_result(None)


def _unsaved(error: Exception) -> Exception:
    """Why a session was not saved, for the one who waits."""
    if not isinstance(error, sqlite3.Error):
        return error
    full = isinstance(error, sqlite3.OperationalError)
    hint = (
        "check that the disk has room and can be written to" if full else "report this as a fault of onward"
    )
    return WriteError(f"cannot save a session: {error}", hint=hint)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
