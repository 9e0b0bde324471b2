import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from onward.errors import ArtefactError, BusyError, WriteError
from onward.watch.stream.store import FORMAT, Row, WatchStore, opened_store


def row(key: str, seen: float = 0.0, size: int = 10) -> Row:
    return Row(key, 1, seen, None, 0, "a line", 1, "a line", 1, "[]", bytes(size))


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_kept_is_found(kept: bool, tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db" if kept else None)
    rows = [row(f"k{i}", float(i)) for i in range(1200)]
    store.keep(rows)
    assert sorted(store.find([f"k{i}" for i in range(1200)]), key=lambda r: r.seen) == rows
    assert store.find(["other"]) == []
    assert sorted(store.idle(2.0)) == ["k0", "k1"]
    store.drop(["k0"])
    assert store.idle(2.0) == ["k1"]
    assert len(store.keys()) == 1199
    store.set_fact("counts", {"records": 3})
    assert store.fact("counts") == {"records": 3}
    assert store.fact("other") is None


def test_what_logs_say_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.keep([row("a")])
    store.commit()
    files = sorted(tmp_path.glob("watch.db*"))
    assert path in files and len(files) > 1
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_what_was_not_committed_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.keep([row("a")])
    store.add_alarms([(1, "{}")])
    store.commit()
    store.keep([row("b")])
    store.delivered(1)
    store.close()
    store = WatchStore(path)
    assert store.keys() == ["a"]
    assert store.outbox() == [(1, "{}")]
    store.delivered(1)
    assert store.outbox() == []
    assert store.alarms(5) == ["{}"]


def test_one_watch_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with opened_store(path):
        with pytest.raises(BusyError, match="another watch goes on") as caught, opened_store(path):
            pass
        assert "--state" in caught.value.hint
    with opened_store(path) as store:
        assert store.keys() == []


def test_a_state_of_another_version_is_left_alone(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("content", [b"not a database, but a text that someone wrote" * 50, "of others"])
def test_what_is_no_state_is_left_alone(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as database:
            database.execute("create table theirs (a)")
        database.close()
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match="not the state of a watch"):
        WatchStore(path)
    assert path.read_bytes() == before


def test_a_state_that_has_lost_a_table_is_damaged_and_no_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    WatchStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute("drop table facts")
    database.close()
    store = WatchStore(path)
    with pytest.raises(ArtefactError, match=r"watch\.db is damaged: no such table") as caught:
        store.fact("counts")
    assert "--state" in caught.value.hint and "room" not in caught.value.hint
    store.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write"), opened_store(tmp_path / "no" / "watch.db"):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here (that takes root): {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_committed(small_disk: Path) -> None:
    path = small_disk / "watch.db"
    store = WatchStore(path)
    store.keep([row("a")])
    store.set_fact("place", 1)
    store.commit()
    with pytest.raises(WriteError, match="full") as caught:
        for i in range(100):
            store.keep([row(f"b{i}", size=20_000)])
            store.set_fact("place", 2 + i)
            store.commit()
    assert "room" in caught.value.hint
    store.close()
    store = WatchStore(path)
    place = store.fact("place")
    assert place >= 1
    assert len(store.keys()) == place
    store.close()


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_undone_first_leaves_a_store_that_works(kept: bool, tmp_path: Path) -> None:
    """The first batch of a served watch may be the one that fails."""
    store = WatchStore(tmp_path / "watch.db" if kept else None)
    if kept:
        store.set_fact("counts", 1)
        store.undo()
        assert store.fact("counts") is None
    store.set_fact("counts", 2)
    store.commit()
    assert store.fact("counts") == 2
