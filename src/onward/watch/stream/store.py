"""The store of a watch: one SQLite file with transactions.

    facts          JSON values by name: digest of the model, position in the source, number of the last alarm,
                   counts, clock, drift, rate control, learning, targets, activity
    keys           the open sequences, one row each
    notices        all alarms, and the incidents that were closed, in order; those that are not delivered yet
                   are the outbox
    incidents      the open incidents, and closed ones whose causes are remembered
    incident_keys  the distinct keys of each of these incidents
    flagged        the events of flagged sequences, for `onward watch ok`
    ended          the events of sequences that ended without being unusual and are not learned yet
    learned        the events of those that were learned as they were read

A crash undoes every change since the last `commit`. Without a path the file is temporary, and only holds the
sequences that do not fit into memory.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, TypeAlias, TypeVar, overload

from onward.errors import ArtefactError, BusyError, InputError, WriteError
from onward.in_place import PRIVATE, create_private
from onward.outputs import output_lock
from onward.printable import shown_value
from onward.stored import Count, Finite, checked, refusing_damage, whole_number
from onward.stored_tables import definitions_in, definitions_of
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.incidents import Incident

FORMAT = 4
_APPLICATION = 0x6F6E7764
_TABLES = """
create table facts (name text primary key, value text not null) without rowid;
create table keys (
    key text primary key, number integer not null, seen real not null, time real, alarmed integer not null,
    line text not null, line_number integer not null, last text not null, last_number integer not null,
    worst text not null, unseen text not null, events text not null, state blob not null
) without rowid;
create index idle_in_order on keys (seen, number, key);
create table notices (
    number integer primary key, alarm integer unique, delivered integer not null, notice text not null
);
create index outbox on notices (number) where not delivered;
create table incidents (
    number integer primary key, cause text not null, alarm integer not null, last_alarm integer not null,
    alarms integer not null, keys integer not null, names text not null, began real not null,
    seen real not null, first real, last real, earlier integer not null, previous real,
    closed integer not null
);
create index causes on incidents (cause, number);
create index quiet on incidents (seen, number) where not closed;
create table incident_keys (
    key text not null, incident integer not null, primary key (key, incident)
) without rowid;
create index keys_of_incident on incident_keys (incident);
create table flagged (
    key text not null, number integer not null, events text not null, primary key (key, number)
);
create table learned (number integer primary key, count integer not null, events text not null);
create table ended (number integer primary key, count integer not null, events text not null);
"""
_STATE = "give the file that `onward watch run --state` writes"
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

Notice: TypeAlias = Alarm | Incident
"""What a watch reports: an alarm, or an incident that was closed."""


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
    worst: str
    unseen: str
    events: str
    state: bytes


class IncidentRow(NamedTuple):
    """An incident as the store holds it; see `Incident`. `began` and `seen` are times of the event clock."""

    number: Count
    cause: str
    alarm: Count
    last_alarm: Count
    alarms: Count
    keys: Count
    names: str
    began: Finite
    seen: Finite
    first: Finite | None
    last: Finite | None
    earlier: Count
    previous: Finite | None
    closed: Count

    def to_incident(self) -> Incident:
        """Returns the incident.

        Raises:
            ValueError: its names are damaged.
        """
        return Incident(
            self.number,
            self.cause,
            self.alarm,
            self.alarms,
            self.keys,
            tuple(checked(list[str], json.loads(self.names))),
            self.first,
            self.last,
            self.seen - self.began,
            self.earlier,
            bool(self.closed),
        )


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
        partition: the partition of a topic that the watch reads, for its notices; None: there are none.

    Raises:
        ArtefactError: the file is not a store, or of another format.
        WriteError: the file cannot be written.
    """

    def __init__(self, path: Path | None = None, partition: int | None = None) -> None:
        self.path, self._partition = path, partition
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

    def watch_id(self) -> str:
        """Returns a name of the watch that no other watch has, and that the store keeps from now on."""
        name = self.fact("watch", partial(checked, str)) or token_hex(8)
        self.set_fact("watch", name)
        return name

    def save_sequences(self, rows: Iterable[SequenceRow]) -> None:
        """Writes open sequences. They replace those with the same keys."""
        self._change(f"insert or replace into keys values ({_places(len(SequenceRow._fields))})", rows)

    def find_sequences(self, keys: Sequence[str]) -> list[SequenceRow]:
        """Returns the open sequences among the keys."""
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            found += self._rows(f"select * from keys where key in ({_places(len(part))})", *part)
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

    def some_keys(self, most: int) -> list[str]:
        """Returns the first keys of open sequences in alphabetical order, up to a number."""
        return self._texts("select key from keys order by key limit ?", most)

    def add_notices(self, notices: Iterable[Notice]) -> None:
        """Puts notices into the outbox."""
        rows = ((notice.number if isinstance(notice, Alarm) else None, notice.encode()) for notice in notices)
        self._change("insert into notices (alarm, delivered, notice) values (?, 0, ?)", rows)

    def outbox(self) -> list[Notice]:
        """Returns the notices that are not delivered, in order."""
        query = "select number, alarm, notice from notices where not delivered order by number"
        return [notice for _, notice in self._numbered(query)]

    def notices_after(self, number: int, count: int) -> list[tuple[int, Notice]]:
        """Returns the first notices with a higher number, delivered or not, in order, with their numbers."""
        query = "select number, alarm, notice from notices where number > ? order by number limit ?"
        return self._numbered(query, number, count)

    def last_notice(self) -> int:
        """Returns the number of the last notice; 0 if there is none."""
        rows = self._rows("select max(number) from notices")
        with self.refusing_damage("the number of a notice"):
            return whole_number(rows[0][0] or 0)

    def opening_alarms(self) -> list[tuple[int, Alarm]]:
        """Returns the alarms that opened the incidents that are open now, with their numbers as notices."""
        found = self._numbered(
            "select notices.number, notices.alarm, notice from incidents "
            "join notices on notices.alarm = incidents.alarm where not closed order by notices.number"
        )
        return [(number, notice) for number, notice in found if isinstance(notice, Alarm)]

    def has_notices(self) -> bool:
        """Whether the outbox has notices."""
        return bool(self._rows("select 1 from notices where not delivered limit 1"))

    def delivered(self) -> None:
        """Notes that all notices are delivered."""
        self._change("update notices set delivered = 1 where not delivered", [()])

    def alarms_after(self, number: int, count: int) -> list[Alarm]:
        """Returns the first alarms with a higher number, in order."""
        rows = self._rows("select notice from notices where alarm > ? order by alarm limit ?", number, count)
        with self.refusing_damage("an alarm"):
            return [Alarm.from_json(json.loads(text)) for (text,) in rows]

    def save_incident(self, row: IncidentRow) -> None:
        """Writes an incident. It replaces the one with the same number."""
        self._change(f"insert or replace into incidents values ({_places(len(IncidentRow._fields))})", [row])

    def add_incident_key(self, incident: int, key: str) -> bool:
        """Adds a key to an incident, and returns whether it is new there."""
        before = self._database.total_changes
        self._change("insert or ignore into incident_keys values (?, ?)", [(key, incident)])
        return self._database.total_changes > before

    def incident_by_cause(self, cause: str) -> IncidentRow | None:
        """Returns the last incident with a cause, open or closed."""
        return self._incident("where cause = ? order by number desc", cause)

    def incident_by_key(self, key: str) -> IncidentRow | None:
        """Returns the last open incident that has only this key."""
        own = "number in (select incident from incident_keys where key = ?)"
        return self._incident(f"where {own} and not closed and keys = 1 order by number desc", key)

    def quiet_incident(self, since: float) -> IncidentRow | None:
        """Returns the open incident whose last alarm is the earliest, if this is before a time."""
        return self._incident("where not closed and seen < ? order by seen, number", since)

    def oldest_incident(self, most: int) -> IncidentRow | None:
        """Returns the incident to forget if there are more than `most`: closed ones first."""
        ((count,),) = self._rows("select count(*) from incidents")
        return self._incident("order by closed desc, last_alarm") if count > most else None

    def forget_incident(self, number: int) -> None:
        """Removes an incident."""
        self._change("delete from incidents where number = ?", [(number,)])
        self._change("delete from incident_keys where incident = ?", [(number,)])

    def incidents_after(self, number: int, count: int) -> list[Incident]:
        """Returns the first incidents with a higher number, in order."""
        return self._incidents("where number > ? order by number limit ?", number, count)

    def last_incidents(self, count: int) -> list[Incident]:
        """Returns the incidents with the highest numbers, in order."""
        return self._incidents("order by number desc limit ?", count)[::-1]

    def flagged(self, key: str, number: int) -> list[str]:
        """Returns the events of a flagged sequence; [] if there is no such sequence."""
        found = self._rows("select events from flagged where key = ? and number = ?", key, number)
        with self.refusing_damage(f"the flagged sequence {shown_value(key)}"):
            return checked(list[str], json.loads(found[0][0])) if found else []

    def flag(self, key: str, number: int, events: str) -> None:
        """Stores the events of a flagged sequence as JSON, by its key and the number of its first record."""
        self._change("insert or replace into flagged values (?, ?, ?)", [(key, number, events)])

    def add_ended(self, sequences: Iterable[Sequence[str]]) -> None:
        """Notes the events of sequences that ended without being unusual."""
        rows = ((len(events), json.dumps(events)) for events in sequences)
        self._change("insert into ended (count, events) values (?, ?)", rows)

    def move_ended_to_learned(self) -> list[list[str]]:
        """Moves all sequences that ended to the learned ones, and returns them."""
        found = self._events_of("ended")
        copy = "insert into learned (count, events) select count, events from ended order by number"
        self._change(copy, [()])
        self._change("delete from ended", [()])
        return found

    def learned(self) -> list[list[str]]:
        """Returns the learned sequences in their order."""
        return self._events_of("learned")

    def forget_learned(self, most: int) -> int:
        """Forgets the oldest learned sequences until they have at most this many events.

        Returns:
            The number of events of the others.
        """
        kept = 0
        for number, count in self._rows("select number, count from learned order by number desc"):
            if kept + count > most:
                self._change("delete from learned where number <= ?", [(number,)])
                break
            kept += count
        return kept

    def refusing_damage(self, what: str) -> AbstractContextManager[None]:
        """Turns the errors of checks in the block into ArtefactError (see `stored.refusing_damage`)."""
        return refusing_damage(f"{what} in {self._name}", _HINT)

    def _events_of(self, table: str) -> list[list[str]]:
        rows = self._rows(f"select events from {table} order by number")
        with self.refusing_damage("a learned sequence"):
            return [checked(list[str], json.loads(text)) for (text,) in rows]

    def _numbered(self, query: str, *values: Any) -> list[tuple[int, Notice]]:
        """Returns the notices of rows with a number, the number of an alarm, and the notice."""
        rows = self._rows(query, *values)
        with self.refusing_damage("a notice"):
            return [
                (number, self._notice(json.loads(text), is_alarm=alarm is not None))
                for number, alarm, text in rows
            ]

    def _notice(self, data: Any, *, is_alarm: bool) -> Notice:
        notice = Alarm.from_json(data) if is_alarm else Incident.from_json(data)
        return notice if self._partition is None else replace(notice, partition=self._partition)

    def _incident(self, condition: str, *values: Any) -> IncidentRow | None:
        """Returns the first row that meets a condition."""
        rows = self._incident_rows(f"{condition} limit 1", *values)
        return rows[0] if rows else None

    def _incidents(self, condition: str, *values: Any) -> list[Incident]:
        rows = self._incident_rows(condition, *values)
        with self.refusing_damage("an incident"):
            return [row.to_incident() for row in rows]

    def _incident_rows(self, condition: str, *values: Any) -> list[IncidentRow]:
        rows = self._rows(f"select * from incidents {condition}", *values)
        with self.refusing_damage("an incident"):
            return [checked(IncidentRow, row) for row in rows]

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


def _places(count: int) -> str:
    """Returns the placeholders for a number of values in SQL."""
    return ", ".join("?" * count)


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
    with _read_only(path) as database:
        query = "select events, number from flagged where key = ? order by number desc limit 1"
        found = database.execute(query, (key,)).fetchone()
        active = database.execute("select number from keys where key = ?", (key,)).fetchone()
    if found:
        with refusing_damage(f"the flagged sequence {shown_value(key)} in {path}", _STATE):
            events, number = checked(list[str], json.loads(found[0])), whole_number(found[1])
        return Flagged(events, number, active != (number,))
    details = "; an open sequence has this key, but no alarm" if active else ""
    raise InputError(
        f"no sequence with the key {key!r} was flagged in {path}{details}",
        hint="give the key of an alarm; or name the SOURCE of the sequence in place of --state",
    )


def learned_in(path: Path) -> list[list[str]]:
    """Returns the sequences that a watch has learned, from its file; the watch may be running.

    Raises:
        ArtefactError: the file is not a state file of a detector.
    """
    with _read_only(path) as database, refusing_damage(f"the learned sequences in {path}", _STATE):
        rows = database.execute("select events from learned order by number")
        return [checked(list[str], json.loads(text)) for (text,) in rows]


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens the file of a watch to read it.

    Raises:
        ArtefactError: the file is not a state file of a detector.
    """
    if not path.is_file():
        raise ArtefactError(f"expected a state file of a detector, but there is no file {path}", hint=_STATE)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            _check_tables(database, str(path))
            yield database
    except sqlite3.DatabaseError as error:
        raise ArtefactError(f"{path} is not a state file of a detector: {error}", hint=_STATE) from error


@contextmanager
def opened_store(path: Path | None, partition: int | None = None) -> Iterator[WatchStore]:
    """Opens and locks a store until the block ends. For the arguments, see `WatchStore`.

    Raises:
        BusyError: another watch has the store open.
    """
    with ExitStack() as stack:
        if path:
            try:
                stack.enter_context(output_lock(path))
            except BusyError as error:
                other = "name another file with --state"
                if partition is not None:
                    other = "give each process partitions of its own with --partitions"
                hint = f"wait until it ends, or {other}"
                raise BusyError(f"another process is using {path}", hint=hint) from error
        yield stack.enter_context(closing(WatchStore(path, partition)))
