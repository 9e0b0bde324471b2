"""A growing file: complete lines, positions, truncation."""

import bz2
import gzip
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from onward.watch.input import tailed_file
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.input.tailed_file import GrowingFile, Position


def test_lines_are_returned_when_they_are_complete(tmp_path: Path) -> None:
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
    assert file.last_line() == b"three"
    assert file.position.offset == 15


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_the_size_of_a_read_does_not_matter(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailed_file, "PIECE_BYTES", piece)
    monkeypatch.setattr(tailed_file, "FINGERPRINT_BYTES", 5)
    path = tmp_path / "log"
    path.write_bytes(b"one\n\ntwo three\nfour\nfi")
    file, lines, position = GrowingFile(path), list[bytes](), None
    while new := file.lines():
        lines += new
        position = file.position
        assert position.is_in(path)
        assert GrowingFile(path, position.offset).position == position
    assert lines == [b"one", b"", b"two three", b"four"]
    assert position and position.offset == len(b"one\n\ntwo three\nfour\n")


@pytest.mark.parametrize("piece", [3, 100])
def test_a_long_line_is_truncated(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailed_file, "PIECE_BYTES", piece)
    monkeypatch.setattr(tailed_file, "LONGEST_LINE", 10)
    path = tmp_path / "log"
    path.write_bytes(b"a" * 50 + b"\nfits in it\nb" + b"c" * 11 + b"\nd" + b"e" * 30)
    file, lines = GrowingFile(path), []
    while new := file.lines():
        lines += new
    assert lines == [b"a" * 10, b"fits in it", b"b" + b"c" * 9]
    assert file.truncated == 2
    assert file.last_line() == b"d" + b"e" * 9
    assert file.truncated == 3
    assert file.position.is_in(path)


def test_a_position_finds_its_file_by_content(tmp_path: Path) -> None:
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


def test_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    file = GrowingFile(path)
    file.lines()
    assert not file.was_truncated()
    path.write_bytes(b"new\n")
    assert file.was_truncated()
    path.write_bytes(b"other lines, and more of them\n")
    assert file.was_truncated()


def test_a_long_line_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as writer:
        for _ in range(64):
            writer.write(b"x" * LONGEST_LINE)
    file = GrowingFile(path)
    tracemalloc.start()
    assert file.lines() == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * LONGEST_LINE
    assert len(file.last_line()) == LONGEST_LINE


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, zstandard.compress])
def test_a_compressed_file_is_read_from_any_position(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path, plain = tmp_path / "log.1.packed", tmp_path / "log"
    content = b"".join(b"line %d\n" % i for i in range(1000))
    plain.write_bytes(content)
    path.write_bytes(compress(content))
    for most in (0, 7, 1023, 1024, 1025, 1500, 2048, 2050, 5000, len(content)):
        offset = content.rfind(b"\n", 0, most) + 1
        file = GrowingFile(plain, offset)
        assert offset == 0 or file.position.is_in(path)
        packed = GrowingFile(path, offset)
        assert packed.position.fingerprint == file.position.fingerprint
        assert b"".join(line + b"\n" for line in packed.lines()) == content[offset:]
        packed.close()
        file.close()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_growing_file_may_have_a_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    path, copy = tmp_path / "log", tmp_path / "log.1.gz"
    content = "one caf\u00e9\ntwo\nthr".encode(encoding)
    path.write_bytes(content)
    file = GrowingFile(path)
    first, second = file.lines()
    assert (first.decode("utf-8-sig"), second) == ("one caf\u00e9", b"two")
    with path.open("ab") as writer:
        writer.write("ee\n".encode(encoding.removesuffix("-sig"))[2 * (encoding == "utf-16") :])
    assert file.lines() == [b"three"]
    copy.write_bytes(gzip.compress(path.read_bytes()))
    assert file.position.is_in(path)
    assert file.position.is_in(copy)
    file.close()
