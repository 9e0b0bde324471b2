"""Followed files: growth, rotation, truncation and restarts lose no line and repeat none."""

import bz2
import gzip
import lzma
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from onward.watch.input import tail
from onward.watch.input.tail import Follower
from onward.watch.input.tailed_file import Position


@pytest.fixture(autouse=True)
def no_quiet_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "QUIET_SECONDS", 0.0)


def add(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines[:-1]) + lines[-1] + end)


def older(path: Path, seconds: float) -> None:
    """Sets the modification time back."""
    stamp = path.stat().st_mtime - seconds
    os.utime(path, (stamp, stamp))


def all_of(follower: Follower) -> list[str]:
    """Returns all lines that can be read now; a read without a result may have opened the next file."""
    lines: list[bytes] = []
    for _ in range(5):
        while new := follower.read():
            lines += new
    return [line.decode() for line in lines]


def test_a_file_may_appear_later(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    follower = Follower(path)
    assert all_of(follower) == []
    position = follower.position
    add(path, "one")
    assert all_of(follower) == ["one"]
    path.rename(tmp_path / "later.log.1")
    add(path, "two")
    assert all_of(Follower(path, position)) == ["one", "two"]


def test_a_rotated_file_is_finished_before_the_new_one(tmp_path: Path) -> None:
    path, messages = tmp_path / "a.log", list[str]()
    follower = Follower(path, notify=messages.append)
    add(path, "one", "tw", end="")
    assert all_of(follower) == ["one"]
    path.rename(tmp_path / "a.log.1")
    add(tmp_path / "a.log.1", "o", "last without end", end="")
    assert all_of(follower) == ["two"]
    add(path, "new")
    assert all_of(follower) == ["last without end", "new"]
    assert len(messages) == 1  # that the file did not exist


def test_a_writer_may_not_notice_the_rotation_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "QUIET_SECONDS", 60.0)
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


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", None),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".bz2", bz2.compress),
        (".zst", zstandard.compress),
    ],
)
def test_a_restart_reads_lines_that_were_written_meanwhile_across_rotations(
    compress: Callable[[bytes], bytes] | None, suffix: str, tmp_path: Path
) -> None:
    path, messages = tmp_path / "a.log", list[str]()
    add(path, "one", "two", "thr", end="")
    follower = Follower(path)
    assert all_of(follower) == ["one", "two"]
    position = follower.position
    add(path, "ee", "four")
    older(path, 30)
    path.rename(tmp_path / "a.log.2")
    if compress:
        packed = tmp_path / f"a.log.2{suffix}"
        packed.write_bytes(compress((tmp_path / "a.log.2").read_bytes()))
        shutil.copystat(tmp_path / "a.log.2", packed)
        (tmp_path / "a.log.2").unlink()
    add(tmp_path / "a.log.1", "five")
    older(tmp_path / "a.log.1", 20)
    add(tmp_path / "a.log.3", "long ago")
    older(tmp_path / "a.log.3", 40)
    add(tmp_path / "a.log.errors", "of another program")
    add(path, "six")
    assert all_of(Follower(path, position, messages.append)) == ["three", "four", "five", "six"]
    assert len(messages) == 1
    assert "rotated" in messages[0]


@pytest.mark.parametrize("more", ["six", "sixth line, which is longer than all that was there before"])
@pytest.mark.parametrize("restart", [False, True])
def test_the_copy_of_a_truncated_file_is_finished(restart: bool, more: str, tmp_path: Path) -> None:
    path, messages = tmp_path / "a.log", list[str]()
    add(path, "one", "two")
    follower = Follower(path, notify=messages.append)
    assert all_of(follower) == ["one", "two"]
    add(path, "three")
    shutil.copy(path, tmp_path / "a.log.1")
    older(tmp_path / "a.log.1", 1)
    os.truncate(path, 0)
    add(path, more)
    if restart:
        follower = Follower(path, follower.position, messages.append)
    assert all_of(follower) == ["three", more]
    assert len(messages) == 1


def test_a_truncated_file_without_a_copy_is_read_from_its_start(tmp_path: Path) -> None:
    path, messages = tmp_path / "a.log", list[str]()
    add(path, "one", "two")
    follower = Follower(path, notify=messages.append)
    assert all_of(follower) == ["one", "two"]
    path.write_text("new\n")
    assert all_of(follower) == ["new"]
    assert messages == ["a.log was truncated: reading it from its start"]


def waiting(folder: Path, messages: list[str]) -> tuple[Follower, Path]:
    """Returns a follower that resumes in a.log.3 after an outage, with two more rotated files to read."""
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
    return Follower(path, follower.position, messages.append), path


def shift(path: Path, last: int) -> None:
    """Rotates as logrotate does: each file gets the next number."""
    for number in range(last, 0, -1):
        path.with_name(f"{path.name}.{number}").rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def pack(path: Path) -> None:
    """Replaces a file with a compressed one with the same modification time, as gzip does."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, packed)
    path.unlink()


def test_a_rotation_while_rotated_files_wait_loses_no_line(tmp_path: Path) -> None:
    messages: list[str] = []
    follower, path = waiting(tmp_path, messages)
    assert follower.read() == [b"a3"]
    shift(path, 3)
    add(path, "e1")
    assert all_of(follower) == ["b1", "b2", "c1", "c2", "d1", "e1"]
    assert len(messages) == 1


def test_a_rotated_file_may_be_compressed_while_it_waits(tmp_path: Path) -> None:
    messages: list[str] = []
    follower, _ = waiting(tmp_path, messages)
    assert follower.read() == [b"a3"]
    pack(tmp_path / "a.log.2")
    pack(tmp_path / "a.log.1")
    assert all_of(follower) == ["b1", "b2", "c1", "c2", "d1"]
    assert len(messages) == 1


def test_a_rotated_file_that_is_being_compressed_is_read_once(tmp_path: Path) -> None:
    follower, _ = waiting(tmp_path, [])
    for number in (3, 2):
        plain = tmp_path / f"a.log.{number}"
        plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert all_of(follower) == ["a3", "b1", "b2", "c1", "c2", "d1"]


def test_a_compressed_copy_with_a_new_time_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    add(path, "a1", "a2")
    older(path, 10)
    follower = Follower(path)
    assert all_of(follower) == ["a1", "a2"]
    rotated = path.rename(tmp_path / "a.log.1")
    rotated.with_name("a.log.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    add(path, "b1")
    assert all_of(follower) == ["b1"]


def test_a_rotated_file_that_was_removed_unread_is_reported(tmp_path: Path) -> None:
    messages: list[str] = []
    follower, _ = waiting(tmp_path, messages)
    assert follower.read() == [b"a3"]
    (tmp_path / "a.log.1").unlink()
    assert all_of(follower) == ["b1", "b2", "d1"]
    assert messages[1:] == ["a.log.1 was removed before it was read: its lines are lost"]


def test_rotated_files_are_read_although_the_log_itself_is_missing(tmp_path: Path) -> None:
    follower, path = waiting(tmp_path, [])
    path.unlink()
    assert all_of(follower) == ["a3", "b1", "b2", "c1", "c2"]


def test_a_new_file_with_the_same_long_banner_is_read_from_its_start(
    tmp_path: Path,
) -> None:
    path, messages, banner = tmp_path / "a.log", list[str](), "#" * 2000
    add(path, banner, "one", "two")
    follower = Follower(path, notify=messages.append)
    assert all_of(follower) == [banner, "one", "two"]
    path.write_text(f"{banner}\nn1\nn2\nn3\nn4\n")
    assert all_of(follower) == [banner, "n1", "n2", "n3", "n4"]
    assert messages == ["a.log was truncated: reading it from its start"]


def test_lost_lines_are_reported(tmp_path: Path) -> None:
    path, messages = tmp_path / "a.log", list[str]()
    add(path, "one")
    follower = Follower(path)
    all_of(follower)
    path.unlink()
    add(path, "another file")
    assert all_of(Follower(path, follower.position, messages.append)) == ["another file"]
    assert "may be lost" in messages[0]


@pytest.mark.parametrize("seed", range(20))
def test_restarts_and_rotations_lose_no_line(seed: int, tmp_path: Path) -> None:
    """A log is written, rotated in both ways and compressed, and the follower restarts at random moments."""
    chance, path = random.Random(seed), tmp_path / "a.log"
    follower, read, written, moment = Follower(path), list[str](), list[str](), 0

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
            case "rename" if follower.position.offset:  # an unread file can only be found by its inode
                path.rename(rotated)
                path.touch()
                stamp(path)
            case "copy" if follower.position.offset and follower.position.inode == path.stat().st_ino:
                shutil.copy(path, rotated)
                stamp(rotated)
                os.truncate(path, 0)
                stamp(path)
                read += all_of(follower)  # a copy is only looked for when the file is read
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
def test_a_missing_file_is_reported(known: bool, tmp_path: Path) -> None:
    messages: list[str] = []
    position = Position(1, 2, 0, "", 0.0) if known else None
    follower = Follower(tmp_path / "a.log", position, messages.append)
    assert messages == [f"waiting for {tmp_path / 'a.log'}, which does not exist yet"]
    (tmp_path / "a.log").write_text("one\n")
    assert follower.read() == [b"one"]
    follower.close()
