import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onward.data import corpus as corpora
from onward.data.corpus import find_sources, has_content, read_bytes
from onward.data.encoded import Encoding, encode_corpus
from onward.data.encodings import open_text
from onward.errors import CorpusError

TEXT = b"What, if some day or night a demon were to steal after you\n" * 200

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstandard.compress,
}
SUFFIXES = sorted(COMPRESS)


def archive(folder: Path, suffix: str, content: bytes = TEXT, stem: str = "text.txt") -> Path:
    path = folder / f"{stem}.{suffix}"
    path.write_bytes(COMPRESS[suffix](content))
    return path


def content_of(path: Path) -> bytes:
    with open_text(path) as file:
        return file.read()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_compressed_text_is_encoded_like_the_plain_text(suffix: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_bytes(TEXT)
    expected = encode_corpus(find_sources([plain]), Encoding())
    encoded = encode_corpus(find_sources([archive(tmp_path, suffix)]), Encoding())
    assert np.array_equal(np.asarray(encoded.ids), np.asarray(expected.ids))
    assert (encoded.digest, encoded.vocabulary) == (expected.digest, expected.vocabulary)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folders_and_patterns_include_compressed_texts(suffix: str, tmp_path: Path) -> None:
    path = archive(tmp_path, suffix)
    archive(tmp_path, suffix, b"PK\0\1" * 100, stem="binary")
    assert find_sources([tmp_path]).documents == (path,)
    assert find_sources([tmp_path]).skipped == 1
    assert find_sources([f"{tmp_path}/*.txt.*"]).documents == (path,)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_first_bytes_decide_and_not_the_name(suffix: str, tmp_path: Path) -> None:
    assert content_of(archive(tmp_path, suffix).rename(tmp_path / "renamed.txt")) == TEXT
    plain = tmp_path / f"plain.{suffix}"
    plain.write_bytes(TEXT)
    assert content_of(plain) == TEXT


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_archives_joined_end_to_end_are_read_to_the_last(suffix: str, tmp_path: Path) -> None:
    path = archive(tmp_path, suffix, b"to be\n")
    path.write_bytes(path.read_bytes() + COMPRESS[suffix](b"") + COMPRESS[suffix](TEXT))
    assert content_of(path) == b"to be\n" + TEXT


def test_zstandard_frames_to_skip_are_skipped(tmp_path: Path) -> None:
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00data"
    path = archive(tmp_path, "zst", b"to be")
    path.write_bytes(skipped + path.read_bytes() + skipped)
    assert content_of(path) == b"to be"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_of_an_empty_file_is_empty(suffix: str, tmp_path: Path) -> None:
    path = archive(tmp_path, suffix, b"")
    assert content_of(path) == b""
    assert not has_content(path)
    with pytest.raises(CorpusError, match="is empty"):
        find_sources([path])


def refused(path: Path) -> None:
    with pytest.raises(CorpusError, match="damaged") as caught:
        encode_corpus(find_sources([path]), Encoding())
    assert str(path) in str(caught.value)
    assert "again" in caught.value.hint


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_archives_are_refused(suffix: str, tmp_path: Path) -> None:
    content = "".join(map(chr, np.random.default_rng(1).integers(32, 1000, 30_000).tolist())).encode()
    path = archive(tmp_path, suffix, content)
    whole = path.read_bytes()
    for size in (12, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    refused(path)
    path.write_bytes(bytes(16) + whole[16:])
    refused(path)


@pytest.mark.parametrize("rest", [b"x", b"\x1f\x8b", b"other bytes", b"\0\0x", TEXT, b"\xff" * 100_000])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_bytes_after_the_end_are_refused(suffix: str, rest: bytes, tmp_path: Path) -> None:
    """Reading only the text before them would hide that something is wrong."""
    path = archive(tmp_path, suffix)
    path.write_bytes(path.read_bytes() + rest)
    refused(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_padding_with_zeros_after_the_end_is_ignored(suffix: str, tmp_path: Path) -> None:
    """Tapes and block devices add it."""
    path = archive(tmp_path, suffix, b"to be\n")
    whole = path.read_bytes()
    for zeros in (1, 4, 511, 100_000):
        path.write_bytes(whole + bytes(zeros))
        assert content_of(path) == b"to be\n"
    path.write_bytes(whole + bytes(8) + whole)
    assert content_of(path) == b"to be\nto be\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_memory_is_bounded_whatever_the_archive_expands_to(suffix: str, tmp_path: Path) -> None:
    path = archive(tmp_path, suffix, bytes(1 << 28))
    assert path.stat().st_size < 1 << 19
    tracemalloc.start()
    with open_text(path) as file:
        assert sum(len(piece) for piece in iter(lambda: file.read(1 << 16), b"")) == 1 << 28
    assert tracemalloc.get_traced_memory()[1] < 1 << 25
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lines_and_pieces_of_an_archive(suffix: str, tmp_path: Path) -> None:
    with open_text(archive(tmp_path, suffix)) as file:
        assert list(file) == TEXT.splitlines(keepends=True)
    with open_text(archive(tmp_path, suffix)) as file:
        assert file.readline(5) == TEXT[:5]
        assert file.read(100) == TEXT[5:105]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_progress_counts_compressed_bytes(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "CHUNK", 4096)
    path = archive(tmp_path, suffix)
    seen: list[tuple[int, int]] = []
    encode_corpus(find_sources([path]), Encoding(), progress=lambda *at: seen.append(at))
    size = path.stat().st_size
    assert seen[-1] == (2 * size, 2 * size)
    assert all(done <= total == 2 * size for done, total in seen)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_memory_does_not_grow_with_the_archive(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "CHUNK", 1 << 14)
    peaks: list[int] = []
    for size in (1 << 19, 1 << 21):
        path = archive(tmp_path, suffix, np.random.default_rng(1).integers(0, 4, size, np.uint8).tobytes())
        tracemalloc.start()
        assert sum(map(len, read_bytes(path))) == size
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1 << 18


def test_a_compressed_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT))))
    (document,) = find_sources(["-"]).documents
    assert content_of(document) == TEXT
    document.unlink()


def test_closing_the_content_closes_the_file(tmp_path: Path) -> None:
    file = open_text(archive(tmp_path, "gz"))
    file.close()
    file.close()
    assert file.closed


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_text(tmp_path / "missing.gz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(content=st.binary(max_size=40))
def test_short_files_never_fail_in_another_way(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "short.gz"
    path.write_bytes(content)
    try:
        assert content_of(path) == content
    except CorpusError as error:
        assert error.hint
