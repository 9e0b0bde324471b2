"""Damaged and hostile files of sessions: each is refused, or its sessions are valid."""

import importlib
import json
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from tests.documentation import ROOT
from tests.refusals import count_refusals
from tests.serve import loop

from onward.errors import ArtefactError
from onward.inference.scoring.protocol import Learn
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.online_learning import LearnedState, OnlineLearner
from onward.serve.sessions.document import Document, Edit
from onward.serve.sessions.store import SessionStore, StoredSession

VALUES = (
    0, 1, -1, 7, 2**63 - 1, -(2**63), 1e300, float("inf"), "", "x", b"\xff\xfe", b"", b"abc", "[" * 5000,
    "null", "[[0, 1000000000000]]", "[[5, 1]]", "[[-9, 1]]", "{}", "\x1b[31m",
)  # fmt: skip
"""Values that replace cells."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with two sessions that have edits, and one of which has learned."""

    async def fill(store: SessionStore) -> None:
        for id_ in ("s", "t"):
            document = Document("to be or", 8, 3, AnswerOptions())
            await store.put(StoredSession(id_, "m", document, "both", 1.0))
            for insert in (" n", "ot", " to"):
                edit = Edit(document.cursor, 0, insert, document.cursor + len(insert))
                document = document.after(edit)
                await store.put_edit(StoredSession(id_, "m", document, "both", 1.0), edit)
        await store.save_learned("s", LearnedState(b"weights", "to be or", [(0, 2), (4, 8)]))

    path = tmp_path_factory.mktemp("sessions") / "s.db"
    store = SessionStore(path)
    loop.run(fill(store))
    store.close()
    return path


def read(path: Path) -> None:
    """Reads everything in a file, and checks that it is valid."""
    store = SessionStore(path)
    try:
        assert store.megabytes >= 0
        for entry in store.index():
            found = store.load(entry.id)
            if found:
                assert 0 <= found.document.cursor <= len(found.document.text)
                assert 0 <= found.document.options.completions <= 20
                assert found.learn in get_args(Learn)
            OnlineLearner(loop.run(store.learned(entry.id)))
    finally:
        store.close()


def change_a_cell(database: sqlite3.Connection, chance: random.Random, mutations: ModuleType) -> None:
    """Changes a random cell to another value, or its JSON at one place."""
    table = chance.choice(("sessions", "edits", "learned"))
    names = [name for _, name, *_ in database.execute(f"pragma table_info({table})")]
    cells = chance.choice(database.execute(f"select * from {table}").fetchall())
    place = chance.randrange(len(cells))
    value = chance.choice(VALUES)
    if isinstance(cells[place], str) and cells[place][:1] in "[{" and chance.random() < 0.7:
        parsed = json.loads(cells[place])
        mutations.change_value(parsed, chance)
        value = json.dumps(parsed)
    where = " and ".join(f"{name} is ?" for name in names)
    with suppress(sqlite3.IntegrityError):
        database.execute(f"update {table} set {names[place]} = ? where {where}", (value, *cells))


@pytest.mark.parametrize("count", [75, pytest.param(3000, marks=pytest.mark.slow)])
def test_changed_cells(count: int, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    mutations = importlib.import_module("mutations")
    read(path)

    def use(number: int) -> None:
        changed = tmp_path / f"{number}.db"
        shutil.copy(path, changed)
        with closing(sqlite3.connect(changed)) as database:
            change_a_cell(database, random.Random(number), mutations)
            database.commit()
        read(changed)

    assert count_refusals(count, use) > count / 10


@pytest.mark.parametrize(
    "statements",
    [
        "create trigger more after insert on edits begin delete from sessions; end",
        "create view other as select 1",
        "create table other (a)",
        "create index large on edits (zeroblob(900000000)) where id = ''",
        "alter table edits add column more text",
        "drop table edits; create view edits as select 's' as id",
    ],
)
def test_a_file_with_other_tables_is_refused_and_not_changed(
    statements: str, path: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "s.db"
    shutil.copy(path, changed)
    with closing(sqlite3.connect(changed)) as database:
        database.executescript(statements)
    before = changed.read_bytes()
    with pytest.raises(ArtefactError, match="its tables are not those of a file of sessions") as refused:
        SessionStore(changed)
    assert "--state" in refused.value.hint
    assert changed.read_bytes() == before
