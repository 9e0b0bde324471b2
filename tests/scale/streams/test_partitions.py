"""The partitions of a process, and the files of their states."""

from pathlib import Path

import pytest

from onward.errors import InputError
from onward.scale.streams.partitions import make_folder, parse_partitions


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, [0, 1, 2, 3]), ("2", [2]), ("1-3", [1, 2, 3]), ("3,0-1,1", [0, 1, 3])],
)
def test_partitions_are_numbers_and_ranges(text: str | None, expected: list[int]) -> None:
    assert parse_partitions(text, 4) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,", "1 2", "4", "2-4"])
def test_other_partitions_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected partitions"):
        parse_partitions(text, 4)


def test_a_range_that_runs_backwards_is_refused_with_the_right_one() -> None:
    with pytest.raises(InputError, match="expected a range of partitions, got 3-1") as refused:
        parse_partitions("3-1", 4)
    assert "1-3" in str(refused.value.hint)


def test_the_folder_of_the_states_is_private(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "states")
    assert (tmp_path / "a" / "states").stat().st_mode & 0o777 == 0o700
    make_folder(tmp_path / "a" / "states")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder for the states"):
        make_folder(tmp_path / "file")
