"""Rotated logs are read in order of time."""

import gzip
from pathlib import Path

from onward.watch.input.lines import decode_line
from onward.watch.input.log_files import find_log_files


def names(folder: Path, *files: str) -> list[str]:
    for name in files:
        content = f"{name}\n".encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return [path.name for path in find_log_files([folder])]


def test_numbers_fall_with_time_and_dates_rise(tmp_path: Path) -> None:
    numbers, dates, middle = tmp_path / "numbers", tmp_path / "dates", tmp_path / "middle"
    for folder in (numbers, dates, middle):
        folder.mkdir()
    order = ["a.log.10.gz", "a.log.9", "a.log.1", "a.log"]
    assert names(numbers, *order) == order
    order = ["a.log-20261031.gz", "a.log-20261101", "a.log"]
    assert names(dates, *order) == order
    order = ["a.2026-10-31.log", "a.2026-11-01.log", "a.log", "b.1.log", "b.2.log"]
    assert names(middle, *order) == order  # there is no b.log


def test_a_change_of_the_order_is_said_once(tmp_path: Path) -> None:
    names(tmp_path, "a.log", "a.log.1", "z.txt")
    said: list[str] = []
    find_log_files([tmp_path], said.append)
    find_log_files([tmp_path / "a.log.1", tmp_path / "a.log"], said.append)
    assert said == ["rotated files, read in order of time: a.log.1, a.log, z.txt"]


def test_a_line_has_no_escape_sequences_and_no_nuls_before_it() -> None:
    assert decode_line(b"\0\0\x1b[1;31mERROR\x1b[0m no \x1b]0;title\x07room\r\n") == "ERROR no room"
    assert decode_line(b"a\0b") == "a\0b"
