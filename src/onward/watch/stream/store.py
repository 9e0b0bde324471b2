"""Where a watch is kept: one SQLite file, in which what belongs together changes together.

    facts    by name, as JSON: the model's digest, the place in the source, the counts, the clock, the drift
    keys     the sequences in flight, one row each
    alarms   what was raised, in order; those that were not delivered yet are the outbox
    flagged  the events of sequences that were flagged, for `onward watch ok`

Every change since the last `commit` is undone by a crash. Without a path the file is temporary, and only
holds what does not fit into memory.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from onward.errors import ArtefactError, BusyError, InputError, WriteError
from onward.outputs import output_lock

FORMAT = 2
_APPLICATION = 0x6F6E7764
_TABLES = """
create table facts (name text primary key, value text not null) without rowid;
create table keys (
    key text primary key, number integer not null, seen real not null, time real, alarmed integer not null,
    line text not null, line_number integer not null, last text not null, last_number integer not null,
    events text not null, state blob not null
) without rowid;
create index idle on keys (seen);
create table alarms (number integer primary key, delivered integer not null, alarm text not null);
create index outbox on alarms (number) where not delivered;
create table flagged (
    key text not null, number integer not null, events text not null, primary key (key, number)
);
"""
_HINT = "name another file with --state, or remove this one to begin anew"
_OF_THE_DISK = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_Result = TypeVar("_Result")


class Row(NamedTuple):
    """A sequence in flight, as it is kept; see `keys.InFlight`."""

    key: str
    number: int
    seen: float
    time: float | None
    alarmed: int
    line: str
    line_number: int
    last: str
    last_number: int
    events: str
    state: bytes


class Flagged(NamedTuple):
    """A sequence that was flagged.

    Attributes:
        events: by name; as far as it had come when it was flagged, or all of them.
        began: the number of its first record.
        ended: whether it has ended.
    """

    events: list[str]
    began: int
    ended: bool


class WatchStore:
    """The file of a watch. One process at a time may have it open.

    Args:
        path: of the file, which is made if it is not there; None for a temporary one.

    Raises:
        ArtefactError: the file is none of ours, or of another version.
        WriteError: it cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._database = self._guarded(lambda: sqlite3.connect(path or "", isolation_level=None))
        self._guarded(self._prepare)

    def _prepare(self) -> None:
        (version,), (application,) = (
            self._database.execute(f"pragma {name}").fetchone() for name in ("user_version", "application_id")
        )
        (tables,) = self._database.execute("select count(*) from sqlite_master").fetchone()
        if tables and application != _APPLICATION:
            raise ArtefactError(f"{self.path} is a database, but not the state of a watch", hint=_HINT)
        if tables and version != FORMAT:
            hint = f"go on with the version of onward that wrote it; or {_HINT}"
            raise ArtefactError(f"{self.path} has format {version}, expected {FORMAT}", hint=hint)
        if self.path:
            self.path.chmod(0o600)  # logs are nobody else's; SQLite gives its other files the same mode
        self._database.execute(f"pragma journal_mode = {'wal' if self.path else 'off'}")
        self._database.execute(f"pragma synchronous = {'full' if self.path else 'off'}")
        self._database.execute("begin immediate")
        if not tables:
            for statement in _TABLES.split(";"):
                self._database.execute(statement)
            self._database.execute(f"pragma user_version = {FORMAT}")
            self._database.execute(f"pragma application_id = {_APPLICATION}")
            self._database.execute("commit")  # or `undo` would take the tables away
            self._database.execute("begin immediate")

    @property
    def is_kept(self) -> bool:
        """Whether it outlives the process."""
        return self.path is not None

    def commit(self) -> None:
        """Makes all changes since the last one durable, together.

        Raises:
            WriteError: the disk refused; the file is as it was.
        """
        self._guarded(lambda: self._database.execute("commit"))
        self._guarded(lambda: self._database.execute("begin immediate"))

    def undo(self) -> None:
        """Goes back to the last commit; the file stays open, so that it needs no room on the disk.

        Raises:
            WriteError: the file cannot be locked.
        """
        if self._database.in_transaction:
            self._guarded(self._database.rollback)
        self._guarded(lambda: self._database.execute("begin immediate"))

    def close(self) -> None:
        """Closes the file; what was not committed is undone."""
        self._database.close()

    def fact(self, name: str) -> Any:
        """A fact, or None."""
        found = self._rows("select value from facts where name = ?", name)
        return json.loads(found[0][0]) if found else None

    def set_fact(self, name: str, value: Any) -> None:
        """Replaces a fact."""
        self._change("insert or replace into facts values (?, ?)", [(name, json.dumps(value))])

    def keep(self, rows: Iterable[Row]) -> None:
        """Writes sequences in flight, in place of those of the same keys."""
        self._change("insert or replace into keys values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def find(self, keys: Sequence[str]) -> list[Row]:
        """The sequences of those keys that are kept."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            places = ", ".join("?" * len(part))
            found += self._rows(f"select * from keys where key in ({places})", *part)
        return [Row(*row) for row in found]

    def drop(self, keys: Iterable[str]) -> None:
        """Removes sequences in flight."""
        self._change("delete from keys where key = ?", ((key,) for key in keys))

    def idle(self, since: float) -> list[str]:
        """The keys last seen before a moment."""
        return [key for (key,) in self._rows("select key from keys where seen < ?", since)]

    def keys(self) -> list[str]:
        """All keys that are kept."""
        return [key for (key,) in self._rows("select key from keys")]

    def add_alarms(self, alarms: Iterable[tuple[int, str]]) -> None:
        """Puts alarms, by number, into the outbox."""
        self._change("insert into alarms values (?, 0, ?)", alarms)

    def outbox(self) -> list[tuple[int, str]]:
        """The alarms that are not delivered, in order."""
        return self._rows("select number, alarm from alarms where not delivered order by number")

    def delivered(self, number: int) -> None:
        """Notes that alarms up to a number were delivered."""
        self._change("update alarms set delivered = 1 where not delivered and number <= ?", [(number,)])

    def alarms(self, count: int) -> list[str]:
        """The last alarms, the latest first."""
        return [
            alarm for (alarm,) in self._rows("select alarm from alarms order by number desc limit ?", count)
        ]

    def alarms_after(self, number: int, count: int) -> list[tuple[int, str]]:
        """The first alarms behind that of a number, in order."""
        asked = "select number, alarm from alarms where number > ? order by number limit ?"
        return self._rows(asked, number, count)

    def flagged(self, key: str, number: int) -> list[str]:
        """The events of a flagged sequence; none if there is no such sequence."""
        found = self._rows("select events from flagged where key = ? and number = ?", key, number)
        return json.loads(found[0][0]) if found else []

    def flag(self, key: str, number: int, events: str) -> None:
        """Keeps the events of a flagged sequence that began with a record of a number."""
        self._change("insert or replace into flagged values (?, ?, ?)", [(key, number, events)])

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._guarded(lambda: self._database.execute(statement, values).fetchall(), "read")

    def _change(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._guarded(lambda: self._database.executemany(statement, rows))

    def _guarded(self, action: Callable[[], _Result], what: str = "write") -> _Result:
        """Turns the errors of SQLite into ours: of the disk, or of what the file holds."""
        try:
            return action()
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says more
            if code in _OF_THE_DISK:
                hint = "check that its folder exists and may be written to, and that the disk has room"
                message = f"cannot {what} {self.path or 'a temporary file'}: {error}"
                raise WriteError(message, hint=hint) from error
            told = "is damaged" if code == sqlite3.SQLITE_ERROR else "is not the state of a watch"
            raise ArtefactError(f"{self.path or 'a temporary file'} {told}: {error}", hint=_HINT) from error


def flagged_in(path: Path, key: str) -> Flagged:
    """The latest flagged sequence of a key, in the state of a watch that may go on meanwhile.

    Raises:
        ArtefactError: the file is not the state of a watch.
        InputError: no sequence of the key was flagged.
    """
    hint = "name the one that `onward watch run --state` keeps"
    if not path.is_file():
        raise ArtefactError(f"expected the state of a watch, there is no file {path}", hint=hint)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            asked = "select events, number from flagged where key = ? order by number desc limit 1"
            found = database.execute(asked, (key,)).fetchone()
            flight = database.execute("select number from keys where key = ?", (key,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise ArtefactError(f"{path} is not the state of a watch: {error}", hint=hint) from error
    if found:
        events, number = found
        return Flagged(json.loads(events), number, flight != (number,))
    told = ": the one in flight has raised no alarm" if flight else ""
    raise InputError(
        f"no sequence of the key {key!r} was flagged in {path}{told}",
        hint="give the key that an alarm names; or name the SOURCE, of which any sequence can be learned",
    )


@contextmanager
def opened_store(path: Path | None) -> Iterator[WatchStore]:
    """A store that nobody else may open until the block ends. Changes that were not committed are undone.

    Raises:
        BusyError: another watch has it open.
    """
    if path is None:
        store = WatchStore()
        try:
            yield store
        finally:
            store.close()
        return
    try:
        with output_lock(path):
            store = WatchStore(path)
            try:
                yield store
            finally:
                store.close()
    except BusyError as error:
        if f"{path}" not in str(error):
            raise
        hint = "wait until it ends, or name another file with --state"
        raise BusyError(f"another watch goes on in {path}", hint=hint) from error
