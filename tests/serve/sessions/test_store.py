"""The file of the sessions: what was acknowledged is in it."""

import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.serve import loop

from onward.errors import InputError, WriteError
from onward.serve.engine.online_learning import Learned
from onward.serve.engine.typed_text import Edit
from onward.serve.sessions import store as module
from onward.serve.sessions.store import SessionStore, StoredSession


def saved(id_: str, text: str, version: int, cursor: int = 0) -> StoredSession:
    return StoredSession(id_, "m", text, cursor, version, {"a": 1}, 1.0)


async def type_all(store: SessionStore, edits: int) -> str:
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
    store = SessionStore(tmp_path / "s.db")
    text = loop.run(type_all(store, edits))
    store.close()
    again = SessionStore(tmp_path / "s.db")
    (found,) = again.sessions()
    again.close()
    assert (found.id, found.model, found.text, found.version) == ("s", "m", text, edits)
    assert (found.cursor, found.options) == (edits, {"a": 1})


def test_many_at_once_are_all_kept_and_those_removed_are_not(tmp_path: Path) -> None:
    async def work(store: SessionStore) -> None:
        await asyncio.gather(*(store.add(saved(str(i), "x" * i, i)) for i in range(50)))
        await asyncio.gather(*(store.remove(str(i)) for i in range(0, 50, 2)))

    store = SessionStore(tmp_path / "s.db")
    loop.run(work(store))
    assert sorted(int(each.id) for each in store.sessions()) == [*range(1, 50, 2)]
    store.close()


@pytest.mark.parametrize("fold", [1, 256])
def test_an_edit_renews_when_a_session_was_used(tmp_path: Path, monkeypatch, fold: int) -> None:
    now = 100.0
    monkeypatch.setattr(module, "_FOLD", fold)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now))
    store = SessionStore(tmp_path / "s.db")
    for id_ in ("s", "other"):
        loop.run(store.add(saved(id_, "a", 0)))
    now = 200.0
    loop.run(store.edit(saved("s", "ab", 1), Edit(1, 0, "b", 2)))
    assert {each.id: each.used for each in store.sessions()} == {"s": 200.0, "other": 100.0}
    store.close()


def test_of_changes_that_are_flushed_together_the_one_that_fails_is_undone_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None, check_same_thread=False)

    async def work(store: SessionStore) -> list[BaseException | None]:
        await store.add(saved("before", "a", 0))
        await store.add(saved("stays", "a", 0))
        await store.edit(saved("stays", "ab", 1), Edit(1, 0, "b", 2))
        other.execute(
            "create trigger fails before delete on edits when old.id = 'stays' "
            "begin select raise(abort, 'no more'); end"
        )
        other.execute("begin immediate")  # all changes wait for its end, and so for one another
        changes = [
            store.add(saved("first", "1", 0)),
            store.remove("stays"),  # fails at its second statement
            store.remove("before"),
            store.add(saved("last", "2", 0)),
        ]
        waiting = asyncio.gather(*changes, return_exceptions=True)
        await asyncio.sleep(0.01)
        other.execute("commit")
        return await waiting

    store = SessionStore(tmp_path / "s.db")
    first, failed, *others = loop.run(work(store))
    assert first is None
    assert others == [None, None]
    assert isinstance(failed, WriteError)
    assert "no more" in str(failed)
    assert {each.id: each.text for each in store.sessions()} == {"stays": "ab", "first": "1", "last": "2"}
    store.close()
    other.close()


def test_others_cannot_read_it(tmp_path: Path) -> None:
    SessionStore(tmp_path / "s.db").close()
    assert (tmp_path / "s.db").stat().st_mode & 0o077 == 0


def test_another_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"no database, but a text that somebody wrote" * 100)
    with pytest.raises(InputError, match="cannot keep sessions"):
        SessionStore(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "s.db")
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(InputError, match="has format 99"):
        SessionStore(tmp_path / "s.db")


def test_what_was_learned_is_kept_as_long_as_its_session(tmp_path: Path) -> None:
    async def work(store: SessionStore) -> None:
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

    store = SessionStore(tmp_path / "s.db")
    loop.run(work(store))
    store.close()


def test_the_format_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = SessionStore(path)
    loop.run(store.add(saved("s", "ab", 0)))
    store.close()
    database = sqlite3.connect(path)
    database.executescript("drop table learned; pragma user_version = 1")
    database.close()
    store = SessionStore(path)
    assert [each.id for each in store.sessions()] == ["s"]
    assert loop.run(store.learned("s")) is None
    store.close()
