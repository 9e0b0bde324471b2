import gzip
from pathlib import Path

import pytest

from onward.watch.input import tailed_file as growing
from onward.watch.input.tailed_file import GrowingFile, Position


def test_lines_are_given_when_they_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    file = GrowingFile(path)
    assert file.lines() == [b"one"]
    assert file.position.offset == 4
    assert file.lines() == []
    with path.open("ab") as more:
        more.write(b"o\r\n\nthree")
    assert file.lines() == [b"two\r", b""]
    assert file.position.offset == 10
    assert file.rest() == b"three"
    assert file.position.offset == 15


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_pieces_change_nothing(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "_PIECE", piece)
    monkeypatch.setattr(growing, "_PRINTED", 5)
    path = tmp_path / "log"
    path.write_bytes(b"one\n\ntwo three\nfour\nfi")
    file, lines = GrowingFile(path), []
    while new := file.lines():
        lines += new
        position = file.position
        assert position.is_in(path)
        assert GrowingFile(path, position.offset).position == position
    assert lines == [b"one", b"", b"two three", b"four"]
    assert position.offset == len(b"one\n\ntwo three\nfour\n")


@pytest.mark.parametrize("piece", [3, 100])
def test_a_line_without_end_takes_bounded_memory(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "_PIECE", piece)
    monkeypatch.setattr(growing, "LONGEST_LINE", 10)
    path = tmp_path / "log"
    path.write_bytes(b"a" * 50 + b"\nfits in it\nb" + b"c" * 11 + b"\nd" + b"e" * 30)
    file, lines = GrowingFile(path), []
    while new := file.lines():
        lines += new
    assert lines == [b"a" * 10, b"fits in it", b"b" + b"c" * 9]
    assert file.cut == 2
    assert len(file._held) <= 11 + piece
    assert file.rest() == b"d" + b"e" * 9
    assert file.cut == 3
    assert file.position.is_in(path)


def test_a_position_knows_its_file_by_content(tmp_path: Path) -> None:
    path, other, packed = tmp_path / "log", tmp_path / "other", tmp_path / "log.1.gz"
    content = b"".join(b"line %d\n" % i for i in range(1000))
    path.write_bytes(content)
    file = GrowingFile(path)
    file.lines()
    position = Position.from_json(file.position.to_json())
    assert position.is_in(path)
    packed.write_bytes(gzip.compress(content + b"and more\n"))
    assert position.is_in(packed)
    other.write_bytes(content[:-2] + b"!\n")
    assert not position.is_in(other)
    other.write_bytes(content[:-1])
    assert not position.is_in(other)
    packed.write_bytes(gzip.compress(content)[:-100])
    assert not position.is_in(packed)
    assert GrowingFile(other).position.offset == 0


def test_a_file_that_was_cut_short_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    file = GrowingFile(path)
    file.lines()
    assert not file.was_cut_short()
    path.write_bytes(b"new\n")
    assert file.was_cut_short()
    path.write_bytes(b"other lines, and more of them\n")
    assert file.was_cut_short()
