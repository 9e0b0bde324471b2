"""Links and pipes in the place of a log: what is not the log is not read, and nothing waits for ever."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.watch.input.test_tail import add, all_of

from onward.watch.input import tail
from onward.watch.input.log_folders import LogFolders, NotFollowedError
from onward.watch.input.tail import Follower


@pytest.fixture(autouse=True)
def no_quiet_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "QUIET_SECONDS", 0.0)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file in another folder, which the writer of the log may not read."""
    folder = tmp_path / "root"
    folder.mkdir()
    add(folder / "secret", "secret one", "secret two")
    return folder / "secret"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    add(folder / "a.log", "one")
    return folder / "a.log"


def replace(path: Path, target: Path) -> None:
    """Replaces a file by a link, as the writer of a log can."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def test_a_log_that_becomes_a_link_to_another_folder_is_not_followed(log: Path, secret: Path) -> None:
    messages: list[str] = []
    follower = Follower(log, notify=messages.append)
    assert all_of(follower) == ["one"]
    replace(log, secret)
    assert all_of(follower) == []
    assert all_of(follower) == []
    where = f"{log} leads to {secret}, outside the folder of the log"
    assert messages == [f"{where}: it is only read with --follow-links"]
    log.unlink()
    add(log, "two")
    assert all_of(follower) == ["two"]
    replace(log, secret)
    assert all_of(follower) == []
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("kind", "make", "remove"), [("named pipe", os.mkfifo, os.unlink), ("folder", os.mkdir, os.rmdir)]
)
def test_a_log_that_becomes_something_else_does_not_stop_the_watch(
    kind: str, make: Callable[[Path], None], remove: Callable[[Path], None], log: Path
) -> None:
    messages: list[str] = []
    follower = Follower(log, notify=messages.append)
    assert all_of(follower) == ["one"]
    log.unlink()
    make(log)
    assert all_of(follower) == []  # without waiting for a writer
    assert messages == [f"{log} is a {kind}, not a file: it is not read"]
    remove(log)
    add(log, "two")
    assert all_of(follower) == ["two"]


def test_a_log_that_leads_nowhere_does_not_stop_the_watch(log: Path) -> None:
    """A link to itself, a link to a name that is too long, and a file in the place of the folder."""
    messages: list[str] = []
    follower = Follower(log, notify=messages.append)
    assert all_of(follower) == ["one"]
    for target in (log, Path("x" * 255, "y"), Path("/dev/null/y"), Path("x" * 300)):
        for name in (log, log.with_name("a.log.1")):
            replace(name, target)
        assert all_of(follower) == []
    log.unlink()
    moved = log.parent.rename(log.parent.with_name("moved"))
    log.parent.touch()
    assert all_of(follower) == []
    log.parent.unlink()
    moved.rename(log.parent)
    add(log, "two")
    assert all_of(follower) == ["two"]
    assert "leads nowhere" in messages[0]


def test_the_open_log_is_read_while_its_name_leads_elsewhere(log: Path, secret: Path) -> None:
    follower = Follower(log)
    assert all_of(follower) == ["one"]
    moved = log.rename(log.with_name("moved"))
    replace(log, secret)
    add(moved, "two")
    assert all_of(follower) == ["two"]
    log.unlink()
    moved.rename(log)
    add(log, "three")
    assert all_of(follower) == ["three"]


def test_a_log_may_be_a_link_when_the_watch_begins(log: Path, tmp_path: Path) -> None:
    """As /var/log/containers/pod.log, which leads to a file that the kubelet rotates."""
    link = tmp_path / "containers" / "pod.log"
    link.parent.mkdir()
    link.symlink_to(log)
    follower = Follower(link)
    assert all_of(follower) == ["one"]
    log.rename(log.with_name("a.log.20261130"))
    add(log, "two")
    assert all_of(follower) == ["two"]
    add(log.with_name("b.log"), "three")
    replace(link, log.with_name("b.log"))
    assert all_of(follower) == ["three"]


def test_a_link_within_the_folder_of_the_log_is_followed(log: Path) -> None:
    current = log.with_name("current.log")
    current.symlink_to("a.log")
    messages: list[str] = []
    follower = Follower(current, notify=messages.append)
    assert all_of(follower) == ["one"]
    (log.parent / "2026").mkdir()
    add(log.parent / "2026" / "b.log", "two")
    replace(current, Path("2026/b.log"))
    assert all_of(follower) == ["two"]
    assert messages == []


def test_a_link_with_the_name_of_a_rotated_file_is_not_followed(log: Path, secret: Path) -> None:
    messages: list[str] = []
    follower = Follower(log, notify=messages.append)
    assert all_of(follower) == ["one"]
    position = follower.position
    log.with_name("a.log.1").symlink_to(secret)
    os.mkfifo(log.with_name("a.log.2"))
    os.utime(secret, (position.modified + 5, position.modified + 5))
    log.unlink()
    add(log, "two")
    assert all_of(Follower(log, position, messages.append)) == ["two"]
    assert any("a.log.1 leads to" in message for message in messages)


def test_all_links_can_be_followed(log: Path, secret: Path) -> None:
    follower = Follower(log, folders=LogFolders(log, follow_links=True))
    assert all_of(follower) == ["one"]
    replace(log, secret)
    assert all_of(follower) == ["secret one", "secret two"]


def test_a_link_that_replaces_the_file_while_it_is_opened_is_not_followed(
    log: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = LogFolders(log)
    resolve = os.path.realpath

    def resolve_then_swap(path: Path) -> str:
        found = resolve(path)
        replace(log, secret)
        return found

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    with pytest.raises(NotFollowedError):
        folders.open(log)


def test_a_folder_that_becomes_a_link_while_a_file_is_opened_is_not_followed(
    log: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = LogFolders(log)
    resolve = os.path.realpath
    add(secret.parent / log.name, "secret")

    def resolve_then_swap(path: Path) -> str:
        found = resolve(path)
        log.parent.rename(log.parent.with_name("moved"))
        log.parent.symlink_to(secret.parent)
        return found

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    with pytest.raises(NotFollowedError):
        folders.open(log)
