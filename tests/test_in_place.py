"""Files that are changed in place: no links, no pipes, nobody else's files."""

import os
from pathlib import Path

import pytest

from onward.errors import WriteError
from onward.in_place import create_private, open_in_place


def test_a_new_file_is_private_and_an_old_one_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "alarms"
    for content in (b"one\n", b"two\n"):
        handle = open_in_place(path, os.O_WRONLY | os.O_APPEND)
        os.write(handle, content)
        os.close(handle)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    os.close(open_in_place(path, os.O_WRONLY))
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("target", ["secret", "missing", "link"])
def test_a_link_is_not_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(WriteError, match=r"expected a file .*link, got a link") as caught:
        open_in_place(link, os.O_WRONLY | os.O_TRUNC)
    assert "name the file that it leads to" in caught.value.hint
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR])
def test_a_pipe_is_refused_at_once(flags: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WriteError, match="got a named pipe"):
        open_in_place(tmp_path / "pipe", flags)


def test_other_errors_are_those_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_in_place(tmp_path / "missing" / "file", os.O_WRONLY)
    with pytest.raises(IsADirectoryError):
        open_in_place(tmp_path, os.O_WRONLY)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused_in_a_folder_that_everyone_may_write_to(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.touch()
    os.chown(planted, 12345, 12345)
    os.close(open_in_place(planted, os.O_WRONLY))
    tmp_path.chmod(0o1777)
    with pytest.raises(WriteError, match="belongs to another user"):
        open_in_place(planted, os.O_WRONLY)


def test_a_private_file_is_created_and_an_existing_file_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "state"
    create_private(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"content")
    path.chmod(0o644)
    create_private(path)
    assert (path.stat().st_mode & 0o777, path.read_bytes()) == (0o644, b"content")
    (tmp_path / "link").symlink_to("state")
    with pytest.raises(WriteError, match="got a link"):
        create_private(tmp_path / "link")
