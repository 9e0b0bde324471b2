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


def test_links_are_followed_and_a_circular_link_is_a_write_error(tmp_path: Path) -> None:
    link, circle = tmp_path / "link", tmp_path / "circle"
    link.symlink_to("model")
    circle.symlink_to("circle")
    with atomic_write(link) as file:
        file.write(b"x")
    assert (link.is_symlink(), (tmp_path / "model").read_bytes()) == (True, b"x")
    with pytest.raises(WriteError), atomic_write(circle) as file:
        file.write(b"x")
    assert names(tmp_path) == ["circle", "link", "model"]
