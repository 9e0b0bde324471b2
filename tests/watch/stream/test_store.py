"""The store: changes are durable together, and files of other programs stay untouched."""

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from onward.errors import ArtefactError, BusyError, WriteError
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.store import FORMAT, SequenceRow, WatchStore, opened_store


def row(key: str, seen: float = 0.0, size: int = 10) -> SequenceRow:
    return SequenceRow(key, 1, seen, None, 0, "a line", 1, "a line", 1, "read", "[]", "[]", bytes(size))


def alarm(number: int) -> Alarm:
    return Alarm(number, "s", 1, None, True, 0.001, "largest", "a line", 1, None)


@pytest.mark.parametrize("is_kept", [True, False])
def test_sequences_and_facts_are_found_again(is_kept: bool, tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db" if is_kept else None)
    rows = [row(f"k{i}", float(i)) for i in range(1200)]
    store.save_sequences(rows)
    assert sorted(store.find_sequences([f"k{i}" for i in range(1200)]), key=lambda r: r.seen) == rows
    assert store.find_sequences(["other"]) == []
    assert sorted(store.idle_keys(2.0)) == ["k0", "k1"]
    store.remove_sequences(["k0"])
    assert store.idle_keys(2.0) == ["k1"]
    assert len(store.keys()) == 1199
    store.set_fact("counts", {"records": 3})
    assert store.fact("counts") == {"records": 3}
    assert store.fact("other") is None


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.save_sequences([row("a")])
    store.commit()
    files = sorted(tmp_path.glob("watch.db*"))
    assert path in files and len(files) > 1
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_state_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "watch.db").symlink_to("secret")
    (tmp_path / "secret").touch(0o644)
    with pytest.raises(WriteError, match="got a link"):
        WatchStore(tmp_path / "watch.db")
    assert ((tmp_path / "secret").read_bytes(), (tmp_path / "secret").stat().st_mode & 0o777) == (b"", 0o644)


def test_uncommitted_changes_are_undone(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.save_sequences([row("a")])
    store.add_notices([alarm(1), alarm(2)])
    store.commit()
    store.save_sequences([row("b")])
    store.delivered()
    store.close()
    store = WatchStore(path)
    assert store.keys() == ["a"]
    assert store.outbox() == [alarm(1), alarm(2)]
    store.delivered()
    assert store.outbox() == []
    assert store.alarms_after(0, 5) == [alarm(1), alarm(2)]
    assert store.alarms_after(1, 5) == [alarm(2)]
    assert store.alarms_after(0, 1) == [alarm(1)]


def test_a_second_watch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with opened_store(path):
        with pytest.raises(BusyError, match="another process is using") as caught, opened_store(path):
            pass
        assert "--state" in caught.value.hint
    with opened_store(path) as store:
        assert store.keys() == []


def test_a_store_of_another_format_stays_untouched(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.commit()
    store.close()
    with sqlite3.connect(path) as database:
        database.execute(f"pragma user_version = {FORMAT - 1}")
    database.close()
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match=f"format {FORMAT - 1}, expected {FORMAT}") as caught:
        WatchStore(path)
    assert "version of onward that wrote it" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"a text that is not a database" * 50, "a database of another program"])
def test_other_files_stay_untouched(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as database:
            database.execute("create table theirs (a)")
        database.close()
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match="not a state file of a detector"):
        WatchStore(path)
    assert path.read_bytes() == before


def test_a_store_without_a_table_is_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    WatchStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute("drop table facts")
    database.close()
    with pytest.raises(ArtefactError, match=r"watch\.db is damaged: its tables are not those") as caught:
        WatchStore(path)
    assert "--state" in caught.value.hint and "space" not in caught.value.hint


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write"), opened_store(tmp_path / "no" / "watch.db"):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with 512 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here (that takes root): {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_what_was_committed(small_disk: Path) -> None:
    path = small_disk / "watch.db"
    store = WatchStore(path)
    store.save_sequences([row("a")])
    store.set_fact("place", 1)
    store.commit()
    with pytest.raises(WriteError, match="full") as caught:
        for i in range(100):
            store.save_sequences([row(f"b{i}", size=20_000)])
            store.set_fact("place", 2 + i)
            store.commit()
    assert "space" in caught.value.hint
    store.close()
    store = WatchStore(path)
    place = store.fact("place")
    assert place >= 1
    assert len(store.keys()) == place
    store.close()


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_new_store_works_after_undo(is_kept: bool, tmp_path: Path) -> None:
    """The first batch of a server may fail."""
    store = WatchStore(tmp_path / "watch.db" if is_kept else None)
    if is_kept:
        store.set_fact("counts", 1)
        store.undo()
        assert store.fact("counts") is None
    store.set_fact("counts", 2)
    store.commit()
    assert store.fact("counts") == 2


def test_a_damaged_alarm_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.add_notices([alarm(1)])
    store.commit()
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("update notices set notice = '{}'")
    database.close()
    store = WatchStore(path)
    with pytest.raises(ArtefactError, match=r"a notice in .* is damaged"):
        store.outbox()
    store.close()
