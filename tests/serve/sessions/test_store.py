"""The file of the sessions has every acknowledged edit."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.serve import loop

from onward.errors import InputError, WriteError
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.online_learning import LearnedState
from onward.serve.sessions import store as store_module
from onward.serve.sessions.document import Document, Edit
from onward.serve.sessions.store import SessionStore, StoredSession

OPTIONS = AnswerOptions(completions=1, until=3)


def stored(id_: str, text: str, version: int, cursor: int = 0) -> StoredSession:
    return StoredSession(id_, "m", Document(text, cursor, version, OPTIONS), learn="both", used=1.0)


def load_all(store: SessionStore) -> list[StoredSession]:
    return [found for entry in store.index() if (found := store.load(entry.id))]


@contextmanager
def opened(path: Path) -> Iterator[SessionStore]:
    store = SessionStore(path)
    yield store
    store.close()


async def make_edits(store: SessionStore, edits: int) -> str:
    text = "a\ud800"
    await store.put(stored("s", text, 0))
    for version in range(1, edits + 1):
        edit = Edit(version % (len(text) + 1), version % 2 and 1, f"{version}é", version)
        text = edit.apply(text)
        await store.put_edit(stored("s", text, version, version), edit)
    return text


@pytest.mark.parametrize("edits", [0, 1, 7, 8, 9])
def test_a_session_is_loaded_as_of_its_last_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edits: int
) -> None:
    monkeypatch.setattr(store_module, "FOLD_EVERY", 4)
    with opened(tmp_path / "s.db") as store:
        text = loop.run(make_edits(store, edits))
    with opened(tmp_path / "s.db") as store:
        (found,) = load_all(store)
    assert (found.id, found.model, found.learn) == ("s", "m", "both")
    assert found.document == Document(text, edits, edits, OPTIONS)


@pytest.mark.parametrize(("adapt", "learn"), [(True, "both"), (False, "memory")])
def test_a_session_of_a_file_before_learn_keeps_what_learns(tmp_path: Path, adapt: bool, learn: str) -> None:
    options = {"completions": 3, "until": "word", "shortest": 2, "next": 10, "adapt": adapt}
    with opened(tmp_path / "s.db") as store:
        loop.run(make_edits(store, 2))
    with closing(sqlite3.connect(tmp_path / "s.db")) as database, database:
        database.execute("update sessions set options = ?", (json.dumps(options),))
    with opened(tmp_path / "s.db") as store:
        assert [found.learn for found in load_all(store)] == [learn]


def test_changes_that_come_at_once_are_all_made(tmp_path: Path) -> None:
    async def work(store: SessionStore) -> None:
        await asyncio.gather(*(store.put(stored(str(i), "x" * i, i)) for i in range(50)))
        await asyncio.gather(*(store.remove(str(i)) for i in range(0, 50, 2)))

    with opened(tmp_path / "s.db") as store:
        loop.run(work(store))
        assert sorted(int(each.id) for each in load_all(store)) == [*range(1, 50, 2)]


@pytest.mark.parametrize("fold_every", [1, 256])
def test_an_edit_updates_when_a_session_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fold_every: int
) -> None:
    now = 100.0
    monkeypatch.setattr(store_module, "FOLD_EVERY", fold_every)
    monkeypatch.setattr(store_module, "time", SimpleNamespace(time=lambda: now))
    with opened(tmp_path / "s.db") as store:
        for id_ in ("s", "other"):
            loop.run(store.put(stored(id_, "a", 0)))
        now = 200.0
        loop.run(store.put_edit(stored("s", "ab", 1), Edit(1, 0, "b", 2)))
        assert {each.id: each.used for each in load_all(store)} == {"s": 200.0, "other": 100.0}


def test_a_change_that_fails_is_undone_without_the_others_of_its_transaction(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None, check_same_thread=False)

    async def work(store: SessionStore) -> list[BaseException | None]:
        await store.put(stored("before", "a", 0))
        await store.put(stored("stays", "a", 0))
        await store.put_edit(stored("stays", "ab", 1), Edit(1, 0, "b", 2))
        other.execute(
            "create trigger fails before delete on edits when old.id = 'stays' "
            "begin select raise(abort, 'no more'); end"
        )
        other.execute("begin immediate")  # all changes wait for its end, so they share one transaction
        changes = [
            store.put(stored("first", "1", 0)),
            store.remove("stays"),  # fails at its second statement
            store.remove("before"),
            store.put(stored("last", "2", 0)),
        ]
        waiting = asyncio.gather(*changes, return_exceptions=True)
        await asyncio.sleep(0.01)
        other.execute("commit")
        return await waiting

    with opened(tmp_path / "s.db") as store:
        first, failed, *others = loop.run(work(store))
        assert first is None
        assert others == [None, None]
        assert isinstance(failed, WriteError)
        assert "no more" in str(failed)
        texts = {each.id: each.document.text for each in load_all(store)}
    other.close()
    assert texts == {"stays": "ab", "first": "1", "last": "2"}


def test_other_users_cannot_read_the_file(tmp_path: Path) -> None:
    SessionStore(tmp_path / "s.db").close()
    assert (tmp_path / "s.db").stat().st_mode & 0o077 == 0


def test_sessions_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "s.db").symlink_to("secret")
    (tmp_path / "secret").touch(0o644)
    with pytest.raises(WriteError, match="got a link"):
        SessionStore(tmp_path / "s.db")
    assert ((tmp_path / "secret").read_bytes(), (tmp_path / "secret").stat().st_mode & 0o777) == (b"", 0o644)


def test_a_file_of_another_kind_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"no database, but a text that somebody wrote" * 100)
    with pytest.raises(InputError, match="cannot keep sessions"):
        SessionStore(path)
    assert path.read_bytes().startswith(b"no database")


@pytest.mark.parametrize("found", [1, 99])
def test_another_format_is_refused_and_not_changed(found: int, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    database = sqlite3.connect(path)
    database.execute(f"pragma user_version = {found}")
    database.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"expected format 2 of .*, got format {found}") as refused:
        SessionStore(path)
    assert "--state" in refused.value.hint
    assert path.read_bytes() == before


def test_what_a_session_has_learned_is_kept_until_the_session_ends(tmp_path: Path) -> None:
    async def work(store: SessionStore) -> None:
        first, second = (LearnedState(bytes([i]) * 5000, "a\ud800b", [(0, 2)]) for i in (1, 2))
        await store.save_learned("s", first)
        assert await store.learned("s") is None  # there is no such session
        await store.put(stored("s", "ab", 0))
        for learned in (first, second):
            await store.save_learned("s", learned)
            assert await store.learned("s") == learned
        await store.put_edit(stored("s", "abc", 1), Edit(2, 0, "c", 3))
        assert await store.learned("s") is not None
        await store.remove("s")
        await store.save_learned("s", first)
        assert await store.learned("s") is None

    with opened(tmp_path / "s.db") as store:
        loop.run(work(store))


def test_edits_with_long_texts_are_folded_into_the_text(tmp_path: Path) -> None:
    path, pasted = tmp_path / "s.db", "x" * 50_000

    async def work(store: SessionStore) -> None:
        await store.put(stored("s", "", 0))
        for version in range(1, 200, 2):
            paste, remove = Edit(0, 0, pasted, 50_000), Edit(0, 50_000, "", 0)
            await store.put_edit(stored("s", pasted, version, 50_000), paste)
            assert store.megabytes < 0.2
            await store.put_edit(stored("s", "", version + 1), remove)

    with opened(path) as store:
        loop.run(work(store))
        (found,) = load_all(store)
        assert found.document == Document("", 0, 200, OPTIONS)
    assert path.stat().st_size < 500_000


def test_the_size_of_the_sessions_is_known_after_a_restart(tmp_path: Path) -> None:
    async def work(store: SessionStore) -> None:
        for number in range(3):
            await store.put(stored(str(number), "x" * 10_000 * number, 0))
        await store.put_edit(stored("1", "é", 1), Edit(0, 10_000, "é" * 500, 1))
        await store.save_learned("2", LearnedState(b"w" * 30_000, "x" * 5000, [(0, 5000)]))
        await store.remove("0")

    with opened(tmp_path / "s.db") as store:
        loop.run(work(store))
        sizes = [store.megabytes_of(str(number)) * 2**20 for number in range(3)]
        assert sizes == pytest.approx([0, 11_000, 55_000], abs=600)
        assert store.megabytes * 2**20 == sum(sizes)
    with opened(tmp_path / "s.db") as store:
        assert [store.megabytes_of(str(number)) * 2**20 for number in range(3)] == sizes
