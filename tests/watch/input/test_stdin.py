"""Lines of a pipe: plain, compressed, and in UTF-16."""

import bz2
import gzip
import io
import lzma
import os
import threading
from collections.abc import Iterator

import pytest
import zstandard

from onward.errors import CorpusError
from onward.watch.input.stdin import Pipe

LINES = [f"s{number} opened caf\u00e9" for number in range(3000)]
TEXT = "".join(f"{line}\n" for line in LINES)
FORMS = {
    "plain": TEXT.encode(),
    "marked": TEXT.encode("utf-8-sig"),
    "gzip": gzip.compress(TEXT.encode()),
    "xz": lzma.compress(TEXT.encode()),
    "bzip2": bz2.compress(TEXT.encode()),
    "zstandard": zstandard.compress(TEXT.encode()),
    "UTF-16": TEXT.encode("utf-16"),
    "gzip of UTF-16": gzip.compress(TEXT.encode("utf-16")),
}


def lines_of(pipe: Pipe) -> Iterator[bytes]:
    while not pipe.ended:
        yield from pipe.read()
    yield from pipe.finish()


def decoded(lines: Iterator[bytes]) -> list[str]:
    return [line.decode("utf-8-sig") for line in lines]


@pytest.mark.parametrize("form", FORMS)
def test_the_lines_are_those_of_the_text(form: str) -> None:
    assert decoded(lines_of(Pipe(io.BytesIO(FORMS[form])))) == LINES


@pytest.mark.parametrize("form", FORMS)
def test_a_pipe_may_be_slow_and_written_at_any_place(form: str) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        content = FORMS[form]
        with os.fdopen(writing, "wb", buffering=0) as file:
            for start, end in ((0, 99), (99, 333), (333, len(content))):
                file.write(content[start:end])
                threading.Event().wait(0.3)  # longer than a read waits

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as file:
        assert decoded(lines_of(Pipe(file))) == LINES
    writer.join()


def test_a_line_is_returned_before_the_pipe_ends() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb", buffering=0) as other:
        pipe = Pipe(file)
        assert pipe.read() == []
        other.write("one\ntw".encode("utf-16"))
        assert pipe.read() == [b"one"]
        assert pipe.read() == []
        assert not pipe.ended


@pytest.mark.parametrize(
    ("content", "message"),
    [(FORMS["gzip"][:-20], "is damaged"), (TEXT.encode("utf-16-le"), "UTF-16LE without a mark")],
    ids=["cut", "UTF-16 without a mark"],
)
def test_what_cannot_be_read_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=f"standard input.*{message}"):
        list(lines_of(Pipe(io.BytesIO(content))))
