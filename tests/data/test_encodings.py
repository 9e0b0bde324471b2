"""Texts in UTF-8 and UTF-16, with and without a byte order mark, plain and compressed."""

import codecs
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.data.corpus import find_sources
from onward.data.encoded import Encoding, encode_corpus
from onward.data.encodings import open_text
from onward.errors import CorpusError

TEXT = "What, if some day or night a d\u00e9mon \U0001f608 were to steal after you\n"
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
ENCODINGS = sorted(MARKS)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def content_of(path: Path) -> bytes:
    with open_text(path) as file:
        return file.read()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_marked_text_is_read_as_utf_8_without_its_mark(encoding: str, tmp_path: Path) -> None:
    marked = MARKS[encoding] + (TEXT * 3000).encode(encoding)
    assert content_of(written(tmp_path / "a.txt", marked)) == (TEXT * 3000).encode()
    assert content_of(written(tmp_path / "a.txt.gz", gzip.compress(marked))) == (TEXT * 3000).encode()
    with open_text(tmp_path / "a.txt") as file:
        assert [*file] == [TEXT.encode()] * 3000
    assert content_of(written(tmp_path / "empty.txt", MARKS[encoding])) == b""


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.sampled_from(ENCODINGS))
def test_any_marked_text_is_read(tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str) -> None:
    path = tmp_path_factory.mktemp("text") / "a"
    if encoding == "utf-16-le" and text.startswith("\0"):
        return  # the mark and NUL are the mark of UTF-32
    assert content_of(written(path, MARKS[encoding] + text.encode(encoding))) == text.encode()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_marked_text_is_encoded_like_the_plain_text(encoding: str, tmp_path: Path) -> None:
    plain = encode_corpus(find_sources([written(tmp_path / "plain.txt", TEXT.encode())]), Encoding())
    marked = written(tmp_path / "marked.txt", MARKS[encoding] + TEXT.encode(encoding))
    found = encode_corpus(find_sources([marked]), Encoding())
    assert (found.digest, found.vocabulary) == (plain.digest, plain.vocabulary)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_folder_has_texts_with_marks(encoding: str, tmp_path: Path) -> None:
    text = written(tmp_path / "a.txt", MARKS[encoding] + TEXT.encode(encoding))
    written(tmp_path / "binary", b"PK\0\1" * 100)
    written(tmp_path / "surrogates", codecs.BOM_UTF16_LE + b"\0\xd8a\0" * 100)
    written(tmp_path / "unmarked.txt", TEXT.encode("utf-16-le"))
    corpus = find_sources([tmp_path])
    assert (corpus.documents, corpus.skipped) == ((text,), 3)


@pytest.mark.parametrize(
    ("content", "encoding", "offset"),
    [
        (codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\0\xd8c\0", "UTF-16LE", "6"),
        (codecs.BOM_UTF16_BE + ("a" * 200_000).encode("utf-16-be") + b"\xdc\0", "UTF-16BE", "400,002"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1], "UTF-16LE", f"{2 * len(TEXT) + 2}"),
        (codecs.BOM_UTF32_LE + b"a\0\0\0\0\0\0\x7f", "UTF-32LE", "8"),
    ],
    ids=["lone surrogate", "far away", "cut", "out of range"],
)
def test_bytes_that_are_no_character_are_refused(
    content: bytes, encoding: str, offset: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.txt", content)
    with pytest.raises(
        CorpusError, match=f"expected {encoding} in .*a.txt.* at offset {offset} are"
    ) as error:
        content_of(path)
    assert error.value.hint
    assert f"iconv -c -f {encoding} -t UTF-8" in error.value.hint


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_refused(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", TEXT.encode(encoding))
    with pytest.raises(CorpusError, match="byte order mark") as error:
        content_of(path)
    assert error.value.hint
    assert f"-f {encoding.upper().replace('16-', '16')} -t UTF-8" in error.value.hint


@pytest.mark.parametrize(
    "content",
    [b"caf\xe9 " * 99, bytes(range(256)) * 2, b"\0" * 600, b"a\0b\0", b"\1\0\2\0" * 200, b"a\0\0\0" * 99],
    ids=["Latin-1", "all bytes", "NUL", "short", "numbers", "sparse"],
)
def test_other_bytes_pass_unchanged(content: bytes, tmp_path: Path) -> None:
    assert content_of(written(tmp_path / "a", content)) == content
