"""Damaged and hostile stores: each is refused with an error of onward, or the watch goes on."""

import importlib
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.documentation import ROOT
from tests.refusals import count_refusals
from tests.watch.stream.test_dispatcher import Target

from onward.errors import ArtefactError, InputError, RunError
from onward.watch.datasets import parser_for
from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.stream.delivery import AlarmDelivery
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.notifications import Notifications
from onward.watch.stream.report import report_lines, run_report
from onward.watch.stream.runner import Runner, open_lines
from onward.watch.stream.store import flagged_in, opened_store

VALUES = (
    0, 1, -1, 2**63 - 1, -(2**63), 1e300, float("inf"), "", "x", b"\xff\xfe", "[", "[" * 5000, "null", "NaN",
    "3", '"x"', "\x1b[31m", "[[]]", "{}", "1e999", None,
)  # fmt: skip
"""Values that replace cells."""


@pytest.fixture(scope="module")
def log(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of sessions in CSV; the last row is not complete."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    rows = [f"s{i % 7},{event},{i}" for i, event in enumerate(["start", "read", "boom", "sync", "stop"] * 12)]
    path.write_text("\n".join(["key,event,time", *rows, 's1,"re']) + "\n")
    return path


@pytest.fixture(scope="module")
def store(detector: Detector, log: Path) -> Path:
    """The store of a watch of the log, with open sequences on disk, and with alarms."""
    path = log.with_name("watch.db")
    watch(detector, path, log)
    return path


def watch(detector: Detector, path: Path, log: Path) -> None:
    """Watches a log, and prints whatever a store decides."""
    with opened_store(path) as store:
        monitor = Monitor(detector, store, in_memory=2)
        parser = parser_for(detector)
        lines = open_lines(str(log), store)
        shown: list[str] = []
        alarms = path.with_suffix(".jsonl")
        notifications = Notifications(store, [Target(repeat_seconds=60.0)])
        delivery = AlarmDelivery(store, lambda notice: shown.append(notice.as_line()), alarms, notifications)
        runner = Runner(monitor, parser, lines, delivery)
        runner.run()
        report_lines(json.loads(json.dumps(run_report(monitor, runner), allow_nan=False)), parser.unreadable)


def go_on(detector: Detector, path: Path, log: Path) -> None:
    """Continues a watch with more records of all keys, and asks for everything that the store holds."""
    with opened_store(path) as store:
        monitor = Monitor(detector, store, in_memory=2)
        monitor.feed([Record(f"s{i % 7}", "read", 60.0 + i, "more", 100 + i) for i in range(14)])
        monitor.wait(20.0)
        monitor.is_open("s1", 1)
        for alarm in store.alarms_after(0, 100):
            json.dumps(alarm.to_json(), allow_nan=False)
            alarm.as_line()
        for incident in store.last_incidents(100):
            json.dumps(incident.to_json(), allow_nan=False)
            incident.as_line()
        monitor.end()
        monitor.close_incidents()
        store.undo()
    watch(detector, path, log)
    for key in ("s1", "s2"):
        flagged_in(path, key)


def changed(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    with closing(sqlite3.connect(path)) as database:
        change(database)
        database.commit()


def change_a_cell(database: sqlite3.Connection, chance: random.Random, mutations: ModuleType) -> None:
    """Changes a cell of a random row: to a nasty value, or its JSON or its bytes at one place."""
    table = chance.choice(("facts", "keys", "keys", "notices", "incidents", "incident_keys", "flagged"))
    rows = database.execute(f"select * from {table}").fetchall()
    names = [name for _, name, *_ in database.execute(f"pragma table_info({table})")]
    cells = chance.choice(rows)
    place = chance.randrange(len(cells))
    value = cells[place]
    if isinstance(value, bytes):
        raw = bytearray(value)
        at = chance.randrange(len(raw))
        raw[at : at + chance.choice((1, 4, 8))] = chance.choice(
            (b"\xff", b"\x7f", b"\0\0\0\0\0\0\xf0\x7f", b"\xff" * 8, b"", b"9" * 8)
        )
        value = bytes(raw)
    elif isinstance(value, str) and value[:1] in "[{" and value and chance.random() < 0.8:
        parsed = json.loads(value)
        mutations.change_value(parsed, chance)
        value = json.dumps(parsed)
    else:
        value = chance.choice(VALUES)
    where = " and ".join(f"{name} is ?" for name in names)
    with suppress(sqlite3.IntegrityError):
        database.execute(f"update {table} set {names[place]} = ? where {where}", (value, *cells))


@pytest.mark.parametrize("count", [75, pytest.param(3000, marks=pytest.mark.slow)])
def test_changed_cells(
    count: int, detector: Detector, store: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    mutations = importlib.import_module("mutations")

    def use(number: int) -> None:
        path = tmp_path / str(number) / "watch.db"
        path.parent.mkdir()
        shutil.copy(store, path)
        changed(path, partial(change_a_cell, chance=random.Random(number), mutations=mutations))
        go_on(detector, path, log)

    assert count_refusals(count, use) > count / 10


@pytest.mark.parametrize(
    "statements",
    [
        "create trigger more after insert on notices begin delete from keys; end",
        "create view other as select 1",
        "create table other (a)",
        "drop table flagged",
        "create unique index one on facts (length('a')) where name = ''",
        "create index large on keys (zeroblob(900000000)) where key = ''",
        "drop table flagged; create table flagged (key text not null collate nocase, "
        "number integer not null, events text not null, primary key (key, number))",
        "drop table facts; create table facts (name text primary key, value text not null, "
        "check (length(zeroblob(900000000)) > 0)) without rowid",
        "alter table notices add column more text",
        "alter table keys rename column line to other",
        "drop table flagged; create view flagged as with recursive n(i) as "
        "(select 1 union all select i + 1 from n) select 's1' as key, i as number, '[]' as events from n",
    ],
)
def test_a_store_with_other_tables_is_refused_before_it_is_read(
    statements: str, store: Path, tmp_path: Path
) -> None:
    """A view can take for ever, and a trigger can change what is written."""
    path = tmp_path / "watch.db"
    shutil.copy(store, path)
    changed(path, lambda database: database.executescript(statements))
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match="its tables are not those of a state file"), opened_store(path):
        pass
    with pytest.raises(ArtefactError, match="its tables are not those of a state file"):
        flagged_in(path, "s1")
    assert path.read_bytes() == before


def test_a_state_that_is_not_finite_is_refused_and_never_scores(detector: Detector) -> None:
    sequence = detector.open()
    sequence.state[:] = np.nan
    with pytest.raises(InputError, match="infinity or NaN"):
        detector.restore(sequence.to_bytes())
    with pytest.raises(RunError, match="not finite"):
        detector.observe([sequence], ["read"])


def test_a_sequence_of_another_detector_is_refused(detector: Detector) -> None:
    for change in ({"state": np.zeros(3, np.float32)}, {"pending": 999}, {"counts": {999: 1}}):
        other = replace(detector.open(), **change)
        with pytest.raises(InputError, match="as the detector has") as refused:
            detector.restore(other.to_bytes())
        assert refused.value.hint
