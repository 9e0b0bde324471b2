import gzip
import os
import random
import shutil
from pathlib import Path

import pytest

from onward.errors import CorpusError
from onward.watch.input import tail as follow
from onward.watch.input.tail import Follower
from onward.watch.input.tailed_file import Position


@pytest.fixture(autouse=True)
def no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LINGER", 0.0)


def add(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines[:-1]) + lines[-1] + end)


def older(path: Path, seconds: float) -> None:
    """As if the file had been written to before the others."""
    stamp = path.stat().st_mtime - seconds
    os.utime(path, (stamp, stamp))


def all_of(follower: Follower) -> list[str]:
    """What can be read now; a look that finds nothing may have opened the next file."""
    lines: list[bytes] = []
    for _ in range(5):
        while new := follower.read():
            lines += new
    return [line.decode() for line in lines]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    follower = Follower(path)
    assert all_of(follower) == []
    position = follower.position
    add(path, "one")
    assert all_of(follower) == ["one"]
    path.rename(tmp_path / "later.log.1")
    add(path, "two")
    assert all_of(Follower(path, position)) == ["one", "two"]


def test_a_rotated_file_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    path, told = tmp_path / "a.log", []
    follower = Follower(path, tell=told.append)
    add(path, "one", "tw", end="")
    assert all_of(follower) == ["one"]
    path.rename(tmp_path / "a.log.1")
    add(tmp_path / "a.log.1", "o", "last without end", end="")
    assert all_of(follower) == ["two"]
    add(path, "new")
    assert all_of(follower) == ["last without end", "new"]
    assert len(told) == 1  # that it was waited for


def test_a_writer_that_does_not_know_of_the_rotation_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LINGER", 60.0)
    path = tmp_path / "a.log"
    add(path, "one")
    follower = Follower(path)
    assert all_of(follower) == ["one"]
    path.rename(tmp_path / "a.log.1")
    add(path, "new")
    assert all_of(follower) == []
    add(tmp_path / "a.log.1", "two")
    assert all_of(follower) == ["two"]
    older(tmp_path / "a.log.1", 61)
    assert all_of(follower) == ["new"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_restart_reads_what_came_in_the_meantime_through_rotations(packed: bool, tmp_path: Path) -> None:
    path, told = tmp_path / "a.log", []
    add(path, "one", "two", "thr", end="")
    follower = Follower(path)
    assert all_of(follower) == ["one", "two"]
    position = follower.position
    add(path, "ee", "four")
    older(path, 30)
    path.rename(tmp_path / "a.log.2")
    if packed:
        (tmp_path / "a.log.2.gz").write_bytes(gzip.compress((tmp_path / "a.log.2").read_bytes()))
        shutil.copystat(tmp_path / "a.log.2", tmp_path / "a.log.2.gz")
        (tmp_path / "a.log.2").unlink()
    add(tmp_path / "a.log.1", "five")
    older(tmp_path / "a.log.1", 20)
    add(tmp_path / "a.log.3", "long ago")
    older(tmp_path / "a.log.3", 40)
    add(tmp_path / "a.log.errors", "of something else")
    add(path, "six")
    assert all_of(Follower(path, position, told.append)) == ["three", "four", "five", "six"]
    assert len(told) == 1
    assert "rotated" in told[0]


@pytest.mark.parametrize("more", ["six", "sixth line, which is longer than all that was there before"])
@pytest.mark.parametrize("restart", [False, True])
def test_the_copy_of_a_file_that_is_cut_short_is_read_to_its_end(
    restart: bool, more: str, tmp_path: Path
) -> None:
    path, told = tmp_path / "a.log", []
    add(path, "one", "two")
    follower = Follower(path, tell=told.append)
    assert all_of(follower) == ["one", "two"]
    add(path, "three")
    shutil.copy(path, tmp_path / "a.log.1")
    older(tmp_path / "a.log.1", 1)
    os.truncate(path, 0)
    add(path, more)
    if restart:
        follower = Follower(path, follower.position, told.append)
    assert all_of(follower) == ["three", more]
    assert len(told) == 1


def test_a_file_that_is_cut_short_without_a_copy_is_read_from_its_start(tmp_path: Path) -> None:
    path, told = tmp_path / "a.log", []
    add(path, "one", "two")
    follower = Follower(path, tell=told.append)
    assert all_of(follower) == ["one", "two"]
    path.write_text("new\n")
    assert all_of(follower) == ["new"]
    assert told == ["a.log was cut short: reading it from its start"]


def waiting(folder: Path, told: list[str]) -> tuple[Follower, Path]:
    """One that goes on in a.log.3 after an outage, and that two more rotated files wait for."""
    path = folder / "a.log"
    add(path, "a1", "a2")
    older(path, 50)
    follower = Follower(path)
    assert all_of(follower) == ["a1", "a2"]
    path.rename(folder / "a.log.3")
    add(folder / "a.log.3", "a3")
    for name, lines, age in (("3", (), 40), ("2", ("b1", "b2"), 30), ("1", ("c1", "c2"), 20)):
        if lines:
            add(folder / f"a.log.{name}", *lines)
        older(folder / f"a.log.{name}", age)
    add(path, "d1")
    older(path, 10)
    return Follower(path, follower.position, told.append), path


def shift(path: Path, last: int) -> None:
    """Rotates as logrotate does: each name gets the next number."""
    for number in range(last, 0, -1):
        path.with_name(f"{path.name}.{number}").rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def pack(path: Path) -> None:
    """As gzip does: the time of the file is kept, the file is not."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, packed)
    path.unlink()


def test_a_rotation_while_rotated_files_wait_loses_none_of_them(tmp_path: Path) -> None:
    told: list[str] = []
    follower, path = waiting(tmp_path, told)
    assert follower.read() == [b"a3"]
    shift(path, 3)
    add(path, "e1")
    assert all_of(follower) == ["b1", "b2", "c1", "c2", "d1", "e1"]
    assert len(told) == 1


def test_a_rotated_file_may_be_compressed_while_it_waits(tmp_path: Path) -> None:
    told: list[str] = []
    follower, _ = waiting(tmp_path, told)
    assert follower.read() == [b"a3"]
    pack(tmp_path / "a.log.2")
    pack(tmp_path / "a.log.1")
    assert all_of(follower) == ["b1", "b2", "c1", "c2", "d1"]
    assert len(told) == 1


def test_a_rotated_file_that_gzip_is_at_work_on_is_read_once(tmp_path: Path) -> None:
    follower, _ = waiting(tmp_path, [])
    for number in (3, 2):
        plain = tmp_path / f"a.log.{number}"
        plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert all_of(follower) == ["a3", "b1", "b2", "c1", "c2", "d1"]


def test_a_rotated_file_that_is_gone_before_it_was_read_is_told_of(tmp_path: Path) -> None:
    told: list[str] = []
    follower, _ = waiting(tmp_path, told)
    assert follower.read() == [b"a3"]
    (tmp_path / "a.log.1").unlink()
    assert all_of(follower) == ["b1", "b2", "d1"]
    assert told[1:] == ["a.log.1 was removed before it was read: its lines are lost"]


def test_rotated_files_are_read_though_the_log_itself_is_not_there(tmp_path: Path) -> None:
    follower, path = waiting(tmp_path, [])
    path.unlink()
    assert all_of(follower) == ["a3", "b1", "b2", "c1", "c2"]


def test_a_file_that_is_written_anew_under_the_same_long_banner_is_read_from_its_start(
    tmp_path: Path,
) -> None:
    path, told, banner = tmp_path / "a.log", [], "#" * 2000
    add(path, banner, "one", "two")
    follower = Follower(path, tell=told.append)
    assert all_of(follower) == [banner, "one", "two"]
    path.write_text(f"{banner}\nn1\nn2\nn3\nn4\n")
    assert all_of(follower) == [banner, "n1", "n2", "n3", "n4"]
    assert told == ["a.log was cut short: reading it from its start"]


def test_lines_that_are_lost_are_said_to_be(tmp_path: Path) -> None:
    path, told = tmp_path / "a.log", []
    add(path, "one")
    follower = Follower(path)
    all_of(follower)
    path.unlink()
    add(path, "another file")
    assert all_of(Follower(path, follower.position, told.append)) == ["another file"]
    assert "may be lost" in told[0]


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot read"):
        Follower(tmp_path).read()


@pytest.mark.parametrize("seed", range(20))
def test_restarts_and_rotations_lose_no_line(seed: int, tmp_path: Path) -> None:
    """A log is written, rotated in either way and compressed; the reader is restarted at any moment."""
    chance, path = random.Random(seed), tmp_path / "a.log"
    follower, read, written, moment = Follower(path), [], [], 0

    def stamp(of: Path) -> None:
        os.utime(of, (moment, moment))

    path.touch()
    stamp(path)
    follower.read()

    for moment in range(1, 60):
        act = chance.choice(["write"] * 4 + ["read"] * 3 + ["restart", "rename", "copy", "pack"])
        rotated = tmp_path / f"a.log.{moment}"
        match act:
            case "write":
                new = [f"line {len(written) + i} {'x' * chance.randrange(600)}" for i in range(3)]
                written += new
                add(path, *new)
                stamp(path)
            case "read":
                read += [line.decode() for line in follower.read()]
            case "restart":
                follower = Follower(path, follower.position)
            case "rename" if follower.position.offset:  # of a file unread, nothing tells it but its inode
                path.rename(rotated)
                path.touch()
                stamp(path)
            case "copy" if follower.position.offset and follower.position.inode == path.stat().st_ino:
                shutil.copy(path, rotated)
                stamp(rotated)
                os.truncate(path, 0)
                stamp(path)
                read += all_of(follower)  # a copy is only looked for when the file is looked at
            case "pack":
                plain = [found for found in tmp_path.glob("a.log.*") if found.suffix != ".gz"]
                for found in plain:
                    packed = found.with_name(f"{found.name}.gz")
                    packed.write_bytes(gzip.compress(found.read_bytes()))
                    shutil.copystat(found, packed)
                    found.unlink()
    read += all_of(follower)
    assert read == written


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_not_there_yet_is_waited_for_in_words(known: bool, tmp_path: Path) -> None:
    told: list[str] = []
    position = Position(1, 2, 0, "", 0.0) if known else None
    follower = Follower(tmp_path / "a.log", position, told.append)
    assert told == [f"there is no file {tmp_path / 'a.log'} yet: waiting for it"]
    (tmp_path / "a.log").write_text("one\n")
    assert follower.read() == [b"one"]
    follower.close()
