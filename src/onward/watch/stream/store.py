"""The store of a watch: one SQLite file with transactions.

    facts    JSON values by name: digest of the model, position in the source, counts, clock, drift
    keys     the open sequences, one row each
    alarms   all alarms in order; those that are not delivered yet are the outbox
    flagged  the events of flagged sequences, for `onward watch ok`

A crash undoes every change since the last `commit`. Without a path the file is temporary, and only holds the
sequences that do not fit into memory.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

from onward.errors import ArtefactError, BusyError, InputError, WriteError
from onward.in_place import PRIVATE, create_private
from onward.outputs import output_lock
from onward.printable import shown_value
from onward.stored import Count, Finite, checked, refusing_damage, whole_number
from onward.stored_tables import definitions_in, definitions_of
from onward.watch.stream.alarms import Alarm

FORMAT = 2
_APPLICATION = 0x6F6E7764
_TABLES = """
create table facts (name text primary key, value text not null) without rowid;
create table keys (
    key text primary key, number integer not null, seen real not null, time real, alarmed integer not null,
    line text not null, line_number integer not null, last text not null, last_number integer not null,
    events text not null, state blob not null
) without rowid;
create table alarms (number integer primary key, delivered integer not null, alarm text not null);
create index idle_in_order on keys (seen, number, key);
create index outbox on alarms (number) where not delivered;
create table flagged (
    key text not null, number integer not null, events text not null, primary key (key, number)
);
"""
_HINT = "name another file with --state, or delete this one to start without a state"
_DISK_HINT = "check that the folder exists and is writable, and that the disk has free space"
_DISK_ERRORS = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_Result = TypeVar("_Result")


class SequenceRow(NamedTuple):
    """An open sequence as the store holds it; see `ActiveSequence`."""

    key: str
    number: Count
    seen: Finite
    time: Finite | None
    alarmed: Count
    line: str
    line_number: Count
    last: str
    last_number: Count
    events: str
    state: bytes


class Flagged(NamedTuple):
    """A flagged sequence.

    Attributes:
        events: names of its events: up to the alarm if it has not ended, else all.
        began: line number of its first record.
        ended: whether it has ended.
    """

    events: list[str]
    began: int
    ended: bool


class WatchStore:
    """The durable state of a watch. Only one process at a time may open it (see `opened_store`).

    Args:
        path: the file, which is created if it does not exist; None: a temporary file.

    Raises:
        ArtefactError: the file is not a store, or of another format.
        WriteError: the file cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        if path:
            self._create(path)
        self._database = self._guarded(lambda: sqlite3.connect(path or "", isolation_level=None))
        try:
            self._guarded(self._prepare)
        except BaseException:
            self._database.close()
            raise

    def _create(self, path: Path) -> None:
        try:
            create_private(path)
        except OSError as error:
            raise WriteError(f"cannot write {path}: {error.strerror}", hint=_DISK_HINT) from error

    def _prepare(self) -> None:
        (version,), (application,) = (
            self._database.execute(f"pragma {name}").fetchone() for name in ("user_version", "application_id")
        )
        (tables,) = self._database.execute("select count(*) from sqlite_master").fetchone()
        if tables and application != _APPLICATION:
            raise ArtefactError(f"{self.path} is a database, but not a state file of a detector", hint=_HINT)
        if tables and version != FORMAT:
            hint = f"use the version of onward that wrote it; or {_HINT}"
            raise ArtefactError(f"{self.path} has format {version}, expected {FORMAT}", hint=hint)
        if tables:
            _check_tables(self._database, self._name)
        if self.path:
            self.path.chmod(PRIVATE)  # logs may be private; SQLite gives its other files the same mode
        self._database.execute(f"pragma journal_mode = {'wal' if self.path else 'off'}")
        self._database.execute(f"pragma synchronous = {'full' if self.path else 'off'}")
        self._database.execute("begin immediate")
        if not tables:
            for statement in _TABLES.split(";"):
                self._database.execute(statement)
            self._database.execute(f"pragma user_version = {FORMAT}")
            self._database.execute(f"pragma application_id = {_APPLICATION}")
        self._database.execute("commit")  # otherwise `undo` would remove the tables
        self._database.execute("begin immediate")

    @property
    def is_kept(self) -> bool:
        """Whether the store outlives the process."""
        return self.path is not None

    def commit(self) -> None:
        """Makes all changes since the last commit durable at once.

        Raises:
            WriteError: the file cannot be written, and is unchanged.
        """
        self._guarded(lambda: self._database.execute("commit"))
        self._guarded(lambda: self._database.execute("begin immediate"))

    def undo(self) -> None:
        """Undoes all changes since the last commit. The file stays open, because opening may need disk space.

        Raises:
            WriteError: the file cannot be locked.
        """
        if self._database.in_transaction:
            self._guarded(self._database.rollback)
        self._guarded(lambda: self._database.execute("begin immediate"))

    def close(self) -> None:
        """Closes the file, and undoes all changes since the last commit."""
        self._database.close()

    @overload
    def fact(self, name: str) -> Any: ...
    @overload
    def fact(self, name: str, read: Callable[[Any], _Result]) -> _Result | None: ...
    def fact(self, name: str, read: Callable[[Any], Any] | None = None) -> Any:
        """Returns a fact, or None.

        Args:
            name: name of the fact.
            read: turns its JSON value into the result, and raises ValueError if the value is damaged; by
                default the value is the result.

        Raises:
            ArtefactError: the fact is damaged.
        """
        found = self._rows("select value from facts where name = ?", name)
        with self.refusing_damage(f"the value of {name}"):
            value = json.loads(found[0][0]) if found else None
            return value if value is None or read is None else read(value)

    def set_fact(self, name: str, value: Any) -> None:
        self._change("insert or replace into facts values (?, ?)", [(name, json.dumps(value))])

    def save_sequences(self, rows: Iterable[SequenceRow]) -> None:
        """Writes open sequences. They replace those with the same keys."""
        self._change("insert or replace into keys values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def find_sequences(self, keys: Sequence[str]) -> list[SequenceRow]:
        """Returns the open sequences among the keys."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            places = ", ".join("?" * len(part))
            found += self._rows(f"select * from keys where key in ({places})", *part)
        with self.refusing_damage("a sequence"):
            return [checked(SequenceRow, row) for row in found]

    def remove_sequences(self, keys: Iterable[str]) -> None:
        self._change("delete from keys where key = ?", ((key,) for key in keys))

    def idle_keys(self, since: float, most: int | None = None) -> list[str]:
        """Returns the keys of open sequences last seen before a time, in the order of last and first records.

        Args:
            since: the time.
            most: return at most this many; None: all.
        """
        query = "select key from keys where seen < ? order by seen, number, key limit ?"
        return self._texts(query, since, -1 if most is None else most)

    def keys(self) -> list[str]:
        """Returns the keys of all open sequences."""
        return self._texts("select key from keys")

    def add_alarms(self, alarms: Iterable[Alarm]) -> None:
        """Puts alarms into the outbox."""
        rows = ((alarm.number, alarm.encode()) for alarm in alarms)
        self._change("insert into alarms values (?, 0, ?)", rows)

    def outbox(self) -> list[Alarm]:
        """Returns the alarms that are not delivered, in order."""
        return self._alarms("select alarm from alarms where not delivered order by number")

    def delivered(self, number: int) -> None:
        """Notes that all alarms up to a number are delivered."""
        self._change("update alarms set delivered = 1 where not delivered and number <= ?", [(number,)])

    def alarms_after(self, number: int, count: int) -> list[Alarm]:
        """Returns the first alarms with a higher number, in order."""
        return self._alarms(
            "select alarm from alarms where number > ? order by number limit ?", number, count
        )

    def flagged(self, key: str, number: int) -> list[str]:
        """Returns the events of a flagged sequence; [] if there is no such sequence."""
        found = self._rows("select events from flagged where key = ? and number = ?", key, number)
        with self.refusing_damage(f"the flagged sequence {shown_value(key)}"):
            return checked(list[str], json.loads(found[0][0])) if found else []

    def flag(self, key: str, number: int, events: str) -> None:
        """Stores the events of a flagged sequence as JSON, by its key and the number of its first record."""
        self._change("insert or replace into flagged values (?, ?, ?)", [(key, number, events)])

    def refusing_damage(self, what: str) -> AbstractContextManager[None]:
        """Turns the errors of checks in the block into ArtefactError (see `stored.refusing_damage`)."""
        return refusing_damage(f"{what} in {self._name}", _HINT)

    def _alarms(self, query: str, *values: Any) -> list[Alarm]:
        with self.refusing_damage("an alarm"):
            return [Alarm.from_json(json.loads(text)) for (text,) in self._rows(query, *values)]

    def _texts(self, query: str, *values: Any) -> list[str]:
        """Returns the only column of rows."""
        with self.refusing_damage("a key"):
            return checked(list[str], [text for (text,) in self._rows(query, *values)])

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._guarded(lambda: self._database.execute(query, values).fetchall(), "read")

    def _change(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._guarded(lambda: self._database.executemany(statement, rows))

    def _guarded(self, action: Callable[[], _Result], what: str = "write") -> _Result:
        """Runs a database action, and turns SQLite's errors into ours."""
        try:
            return action()
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without the detail code
            if code in _DISK_ERRORS:
                raise WriteError(f"cannot {what} {self._name}: {error}", hint=_DISK_HINT) from error
            problem = "is damaged" if code == sqlite3.SQLITE_ERROR else "is not a state file of a detector"
            raise ArtefactError(f"{self._name} {problem}: {error}", hint=_HINT) from error

    @property
    def _name(self) -> str:
        return str(self.path or "a temporary file")


def _check_tables(database: sqlite3.Connection, name: str) -> None:
    """Raises ArtefactError if a database has other tables or indexes, or views or triggers."""
    if definitions_in(database) != definitions_of(_TABLES):
        raise ArtefactError(f"{name} is damaged: its tables are not those of a state file", hint=_HINT)


def flagged_in(path: Path, key: str) -> Flagged:
    """Returns the latest flagged sequence of a key from the file of a watch, which may be running.

    Raises:
        ArtefactError: the file is not a state file of a detector.
        InputError: no sequence of the key was flagged.
    """
    hint = "give the file that `onward watch run --state` writes"
    if not path.is_file():
        raise ArtefactError(f"expected a state file of a detector, but there is no file {path}", hint=hint)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            _check_tables(database, str(path))
            query = "select events, number from flagged where key = ? order by number desc limit 1"
            found = database.execute(query, (key,)).fetchone()
            active = database.execute("select number from keys where key = ?", (key,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise ArtefactError(f"{path} is not a state file of a detector: {error}", hint=hint) from error
    if found:
        with refusing_damage(f"the flagged sequence {shown_value(key)} in {path}", hint):
            events, number = checked(list[str], json.loads(found[0])), whole_number(found[1])
        return Flagged(events, number, active != (number,))
    details = "; an open sequence has this key, but no alarm" if active else ""
    raise InputError(
        f"no sequence with the key {key!r} was flagged in {path}{details}",
        hint="give the key of an alarm; or name the SOURCE of the sequence in place of --state",
    )


@contextmanager
def opened_store(path: Path | None) -> Iterator[WatchStore]:
    """Opens and locks a store until the block ends.

    Raises:
        BusyError: another watch has the store open.
    """
    with ExitStack() as stack:
        if path:
            try:
                stack.enter_context(output_lock(path))
            except BusyError as error:
                hint = "wait until it ends, or name another file with --state"
                raise BusyError(f"another process is using {path}", hint=hint) from error
        yield stack.enter_context(closing(WatchStore(path)))
