"""The file of the sessions: what was acknowledged is in it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.serve import loop

from onward.errors import InputError
from onward.serve import store as module
from onward.serve.learning import Learned
from onward.serve.store import Saved, Store
from onward.serve.typed import Edit


def saved(id_: str, text: str, version: int, cursor: int = 0) -> Saved:
    return Saved(id_, "m", text, cursor, version, {"a": 1}, 1.0)


async def type_all(store: Store, edits: int) -> str:
    text = "a\ud800"
    await store.add(saved("s", text, 0))
    for version in range(1, edits + 1):
        edit = Edit(version % (len(text) + 1), version % 2 and 1, f"{version}é", version)
        text = edit.applied(text)
        await store.edit(saved("s", text, version, version), edit)
    return text


@pytest.mark.parametrize("edits", [0, 1, 7, 8, 9])
def test_a_session_is_as_its_last_edit_left_it(tmp_path: Path, monkeypatch, edits: int) -> None:
    monkeypatch.setattr(module, "_FOLD", 4)
    store = Store(tmp_path / "s.db")
    text = loop.run(type_all(store, edits))
    store.close()
    again = Store(tmp_path / "s.db")
    (found,) = again.sessions()
    again.close()
    assert (found.id, found.model, found.text, found.version) == ("s", "m", text, edits)
    assert (found.cursor, found.options) == (edits, {"a": 1})


def test_many_at_once_are_all_kept_and_those_removed_are_not(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await asyncio.gather(*(store.add(saved(str(i), "x" * i, i)) for i in range(50)))
        await asyncio.gather(*(store.remove(str(i)) for i in range(0, 50, 2)))

    store = Store(tmp_path / "s.db")
    loop.run(work(store))
    assert sorted(int(each.id) for each in store.sessions()) == [*range(1, 50, 2)]
    store.close()


def test_others_cannot_read_it(tmp_path: Path) -> None:
    Store(tmp_path / "s.db").close()
    assert (tmp_path / "s.db").stat().st_mode & 0o077 == 0


def test_another_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"no database, but a text that somebody wrote" * 100)
    with pytest.raises(InputError, match="cannot keep sessions"):
        Store(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "s.db")
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(InputError, match="has format 99"):
        Store(tmp_path / "s.db")


def test_what_was_learned_is_kept_as_long_as_its_session(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        first, second = (Learned(bytes([i]) * 5000, "a\ud800b", [(0, 2)]) for i in (1, 2))
        await store.learn("s", first)
        assert await store.learned("s") is None  # there is no such session
        await store.add(saved("s", "ab", 0))
        for learned in (first, second):
            await store.learn("s", learned)
            found = await store.learned("s")
            assert found is not None
            assert (found.weights, found.text) == (learned.weights, learned.text)
            assert [tuple(pair) for pair in found.known] == learned.known
        await store.edit(saved("s", "abc", 1), Edit(2, 0, "c", 3))
        assert await store.learned("s") is not None
        await store.remove("s")
        await store.learn("s", first)
        assert await store.learned("s") is None

    store = Store(tmp_path / "s.db")
    loop.run(work(store))
    store.close()


def test_the_format_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = Store(path)
    loop.run(store.add(saved("s", "ab", 0)))
    store.close()
    database = sqlite3.connect(path)
    database.executescript("drop table learned; pragma user_version = 1")
    database.close()
    store = Store(path)
    assert [each.id for each in store.sessions()] == ["s"]
    assert loop.run(store.learned("s")) is None
    store.close()
