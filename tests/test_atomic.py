import os
from pathlib import Path

import pytest

from onward.atomic import atomic_write
from onward.errors import WriteError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_write(target) as file:
        file.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["model"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_write(str(target)) as file:
        file.write(b"half")
        raise KeyError
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["model"]


def test_a_missing_folder_is_a_write_error(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match=r"cannot write .*missing") as caught,
        atomic_write(tmp_path / "missing" / "m"),
    ):
        pass
    assert "folder exists" in caught.value.hint


def test_a_full_disk_is_a_write_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"), atomic_write(tmp_path / "model") as file:
        file.write(b"x")
    assert names(tmp_path) == []


def test_a_folder_with_the_same_name_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(WriteError), atomic_write(tmp_path / "model") as file:
        file.write(b"x")
    assert names(tmp_path) == ["model"]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "model") as file:
        file.write(b"x")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_permissions_of_the_old_file_are_kept(tmp_path: Path) -> None:
    (tmp_path / "model").touch(0o600)
    (tmp_path / "model").chmod(0o604)
    with atomic_write(tmp_path / "model") as file:
        file.write(b"x")
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o604


def test_the_umask_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The umask belongs to the process: setting it, even to read it, affects files of other threads."""

    def never(_: int) -> int:
        raise AssertionError

    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch, atomic_write(tmp_path / "model") as file:
            patch.setattr(os, "umask", never)
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("target", ["secret", "missing", "link", "folder"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(target: str, tmp_path: Path) -> None:
    """In a folder that others may write to, a link may lead to a file that only this user may change."""
    secret, link = tmp_path / "secret", tmp_path / "link"
    secret.write_bytes(b"secret")
    secret.chmod(0o600)
    (tmp_path / "folder").mkdir()
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"x")
    assert not link.is_symlink()
    assert (link.read_bytes(), secret.read_bytes()) == (b"x", b"secret")
    assert names(tmp_path) == ["folder", "link", "secret"]


def test_the_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with atomic_write(tmp_path / "link" / "model") as file:
        file.write(b"x")
    assert names(tmp_path / "folder") == ["model"]


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for target in ("pipe", "link"):
        with (
            pytest.raises(WriteError, match="got a named pipe") as caught,
            atomic_write(tmp_path / target),
        ):
            pass
        assert "name another file" in caught.value.hint
    assert names(tmp_path) == ["link", "pipe"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_permissions_of_a_file_of_another_user_are_not_kept(tmp_path: Path) -> None:
    """Otherwise its owner could choose who may change the new file."""
    (tmp_path / "plain").touch()
    planted = tmp_path / "model"
    planted.touch()
    planted.chmod(0o666)
    os.chown(planted, 12345, 12345)
    with atomic_write(planted) as file:
        file.write(b"x")
    assert planted.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert planted.stat().st_uid == 0
