import copy
import hashlib
import importlib
import io
import json
import os
import random
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.documentation import ROOT

from onward.data import corpus as corpora
from onward.data import encoded as module
from onward.data.corpus import Corpus, find_sources
from onward.data.encoded import EncodedCorpus, Encoding, encode_corpus, encode_text
from onward.data.lanes import Lanes
from onward.data.vocabulary import END, SymbolKind, Vocabulary
from onward.errors import CorpusError, WriteError

KINDS: list[SymbolKind] = ["characters", "bytes", "words"]


def write(path: Path, content: str | bytes, age: int = 3600) -> Path:
    """Writes a file that was last changed `age` seconds ago."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    stamp = path.stat().st_mtime_ns - age * 10**9
    os.utime(path, ns=(stamp, stamp))
    return path


def text_of(encoded: EncodedCorpus) -> str:
    return encoded.vocabulary.decode(np.asarray(encoded.ids))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lists the name of a document each time it is read."""
    read: list[str] = []

    def counted(document: Path, at: Callable[[int], None]) -> Iterator[bytes]:
        read.append(document.name)
        return corpora.read_bytes(document, at)

    monkeypatch.setattr(module, "read_bytes", counted)
    return read


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes all files count as old, since a program cannot set their change time (ctime)."""
    monkeypatch.setattr(module, "SETTLED", -1)


@pytest.mark.parametrize("kind", KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(raw=st.one_of(st.binary(min_size=1), st.text(min_size=1).map(str.encode)), lower=st.booleans())
def test_a_file_is_encoded_like_the_same_text_in_memory(
    kind: SymbolKind, raw: bytes, lower: bool, tmp_path: Path
) -> None:
    encoding = Encoding(kind, lower=lower)
    stored = encode_corpus(find_sources([write(tmp_path / "text", raw)]), encoding)
    known = encode_text(raw, encoding)
    assert np.asarray(stored.ids).tolist() == np.asarray(known.ids).tolist()
    assert np.asarray(stored.ids).dtype == stored.vocabulary.dtype == known.ids.dtype
    assert stored.counts.tolist() == known.counts.tolist() == np.bincount(
        np.asarray(known.ids), minlength=len(known.vocabulary)
    ).tolist()  # fmt: skip
    assert (stored.vocabulary, stored.digest, stored.source_bytes, stored.replaced) == (
        known.vocabulary, known.digest, len(raw), known.replaced,
    )  # fmt: skip
    assert stored.digest == hashlib.sha256(raw).hexdigest()


def test_characters_split_between_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "CHUNK", 3)
    text = "Zürich, 東京 and \U0001f600\r\nΑΣ " * 5
    for kind in KINDS:
        encoding = Encoding(kind, lower=True)
        stored = encode_corpus(find_sources([write(tmp_path / "text", text)]), encoding)
        assert np.asarray(stored.ids).tolist() == np.asarray(encode_text(text, encoding).ids).tolist()


def test_each_of_several_documents_ends_with_end(tmp_path: Path) -> None:
    sources = [write(tmp_path / name, content) for name, content in [("a", "ab"), ("b", "é"), ("c", "b")]]
    whole = encode_corpus(find_sources(sources), Encoding())
    assert np.asarray(whole.ids).tolist() == [4, 5, END, 6, END, 5, END]
    assert whole.counts.tolist() == [0, 0, 0, 3, 1, 2, 1]
    assert whole.vocabulary.symbols == ("a", "b", "é")
    assert whole.digest not in (
        hashlib.sha256("abéb".encode()).hexdigest(),
        encode_text("abéb", Encoding()).digest,
    )


def test_a_truncated_character_does_not_continue_in_the_next_document(tmp_path: Path) -> None:
    sources = [write(tmp_path / "a", b"a\xc3"), write(tmp_path / "b", b"\xa9b")]
    whole = encode_corpus(find_sources(sources), Encoding())
    assert text_of(whole) == "a\ufffd\ufffdb"
    assert whole.replaced == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw", [b"a", b"\0", b"\xff", b"a\xef\xbb\xbfb", b"a\r\nb\rc\n", b"x" * 10_000_000])
def test_unusual_content(kind: SymbolKind, raw: bytes, tmp_path: Path) -> None:
    stored = encode_corpus(find_sources([write(tmp_path / "text", raw)]), Encoding(kind))
    assert text_of(stored) == raw.decode("utf-8", "replace")
    if kind == "bytes":
        assert stored.vocabulary.decode_bytes(np.asarray(stored.ids)) == raw


def test_rare_symbols_and_a_given_vocabulary(tmp_path: Path) -> None:
    found = find_sources([write(tmp_path / "text", "aab")])
    assert encode_corpus(found, Encoding(min_count=2)).counts.tolist() == [0, 1, 0, 0, 2]
    given = Vocabulary.of_text("xb", "characters")
    stored = encode_corpus(found, Encoding(vocabulary=given))
    assert stored.vocabulary == given
    assert np.asarray(stored.ids).tolist() == [1, 1, 4]
    words = Vocabulary.of_text("aab", "words")
    assert np.asarray(encode_corpus(found, Encoding(vocabulary=words)).ids).tolist() == [4]


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(CorpusError, match="empty"):
        encode_text(b"", Encoding())


@pytest.mark.usefixtures("settled")
def test_the_second_run_reads_nothing(tmp_path: Path, passes: list[str]) -> None:
    found = find_sources([write(tmp_path / "text", "to be")])
    first = encode_corpus(found, Encoding())
    assert passes == ["text", "text"]
    second = encode_corpus(find_sources([tmp_path / "text"]), Encoding())
    assert passes == ["text", "text"]
    assert np.array_equal(np.asarray(first.ids), np.asarray(second.ids))
    assert (first.vocabulary, first.digest, first.replaced) == (
        second.vocabulary,
        second.digest,
        second.replaced,
    )
    assert first.counts.tolist() == second.counts.tolist()


@pytest.mark.usefixtures("settled")
def test_each_encoding_has_its_own_cache(tmp_path: Path, passes: list[str]) -> None:
    found = find_sources([write(tmp_path / "text", "To be")])
    ways = [
        Encoding(), Encoding("words"), Encoding("bytes"), Encoding(lower=True), Encoding(min_count=2),
        Encoding(vocabulary=Vocabulary.of_text("x", "words")),
    ]  # fmt: skip
    made = [encode_corpus(found, way) for way in ways]
    assert len(passes) == 12
    assert [encode_corpus(found, way).vocabulary for way in ways] == [one.vocabulary for one in made]
    assert len(passes) == 12


@pytest.mark.usefixtures("settled")
def test_a_changed_document_is_encoded_again(tmp_path: Path) -> None:
    for age, content in [(100, "to be"), (90, "to see"), (80, "or not")]:
        found = find_sources([write(tmp_path / "text", content, age)])
        assert text_of(encode_corpus(found, Encoding())) == content
    folder = next((tmp_path / "cache/encoded").iterdir())
    assert len(list(folder.glob("ids-*"))) == 1


@pytest.mark.usefixtures("settled")
def test_a_touched_document_is_hashed_and_not_encoded_again(tmp_path: Path, passes: list[str]) -> None:
    found = find_sources([write(tmp_path / "text", "to be")])
    encode_corpus(found, Encoding())
    write(tmp_path / "text", "to be", age=50)
    assert text_of(encode_corpus(found, Encoding())) == "to be"
    assert len(passes) == 3
    encode_corpus(found, Encoding())
    assert len(passes) == 3


def test_the_times_of_a_file_just_written_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(
        module, "status", lambda _: SimpleNamespace(st_size=5, st_mtime_ns=now, st_ctime_ns=now)
    )  # as if the clock of the file system stood still
    for content in ("to be", "or no"):
        assert (
            text_of(encode_corpus(find_sources([write(tmp_path / "text", content)]), Encoding())) == content
        )


@pytest.mark.usefixtures("settled")
def test_a_document_of_another_size_is_not_hashed(tmp_path: Path, passes: list[str]) -> None:
    for content in ("to be", "to see"):
        encode_corpus(find_sources([write(tmp_path / "text", content)]), Encoding())
    assert len(passes) == 4


def test_a_document_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "text", "to be")

    def meddle(done: int, total: int) -> None:
        write(path, "to see", age=7)

    with pytest.raises(CorpusError, match="changed while") as caught:
        encode_corpus(find_sources([path]), Encoding(), progress=meddle)
    assert caught.value.hint


@pytest.mark.parametrize("damage", ["facts", "ids", "gone", "old", "foreign"])
@pytest.mark.usefixtures("settled")
def test_a_damaged_cache_is_replaced(tmp_path: Path, damage: str) -> None:
    found = find_sources([write(tmp_path / "text", "to be")])
    encode_corpus(found, Encoding())
    folder = next((tmp_path / "cache/encoded").iterdir())
    facts, ids = folder / "facts.json", next(folder.glob("ids-*"))
    {
        "facts": lambda: facts.write_bytes(facts.read_bytes()[:50]),
        "ids": lambda: ids.write_bytes(b"\4"),
        "gone": ids.unlink,
        "old": lambda: facts.write_text(facts.read_text().replace('"layout": 1', '"layout": 0')),
        "foreign": lambda: facts.write_text("[]"),
    }[damage]()
    assert text_of(encode_corpus(found, Encoding())) == "to be"


@pytest.mark.usefixtures("settled")
@pytest.mark.slow
def test_a_cache_with_any_other_value_is_replaced_or_gives_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values of a cache never lead to another file, to an id without a symbol, or to an error."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    mutations = importlib.import_module("mutations")
    found = find_sources([write(tmp_path / "text", "to be")])
    encode_corpus(found, Encoding())
    facts = next((tmp_path / "cache/encoded").glob("*/facts.json"))
    (facts.parent / "ids-other").write_bytes(b"\xff" * 5)
    whole = json.loads(facts.read_bytes())
    for number in range(400):
        changed = copy.deepcopy(whole)
        mutations.change_value(changed, random.Random(number))
        facts.write_text(json.dumps(changed))
        encoded = encode_corpus(found, Encoding())
        assert text_of(encoded) == "to be" or encoded.vocabulary.symbols != whole["vocabulary"]["symbols"]
        assert int(np.asarray(encoded.ids).max()) < len(encoded.vocabulary) == len(encoded.counts)
        facts.parent.joinpath("ids-other").write_bytes(b"\xff" * 5)


def test_a_pipe_is_identified_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passes: list[str]
) -> None:
    def piped(content: bytes) -> Corpus:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return find_sources(["-"])

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert text_of(encode_corpus(piped(b"to be"), Encoding())) == "to be"
    assert len(passes) == 2
    assert text_of(encode_corpus(piped(b"to be"), Encoding())) == "to be"
    assert len(passes) == 2
    assert text_of(encode_corpus(piped(b"or no"), Encoding())) == "or no"


def test_progress_counts_both_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "CHUNK", 4)
    seen: list[tuple[int, int]] = []
    found = find_sources([write(tmp_path / "text", "to be or not")])
    encode_corpus(found, Encoding(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4 * i, 24) for i in range(1, 7)]


def test_the_cache_folder_can_be_chosen(tmp_path: Path) -> None:
    found = find_sources([write(tmp_path / "text", "to be")])
    encode_corpus(found, Encoding(), cache=tmp_path / "mine")
    assert (tmp_path / "mine/encoded").is_dir()
    assert not (tmp_path / "cache").exists()


def test_an_unwritable_cache_is_a_write_error(tmp_path: Path) -> None:
    found = find_sources([write(tmp_path / "text", "to be")])
    with pytest.raises(WriteError) as caught:
        encode_corpus(found, Encoding(), cache=tmp_path / "text")
    assert "ONWARD_CACHE" in caught.value.hint


def test_a_full_disk_leaves_no_files(tmp_path: Path) -> None:
    found = find_sources([write(tmp_path / "text", b"x" * 300_000)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(WriteError, match="File too large"):
            encode_corpus(found, Encoding())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert len(encode_corpus(found, Encoding()).ids) == 300_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_memory_does_not_grow_with_the_text(
    tmp_path: Path, kind: SymbolKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "CHUNK", 1 << 14)
    peaks = []
    for size in (1 << 16, 1 << 18):
        found = find_sources([write(tmp_path / "text", b"to be, " * (size // 7))])
        tracemalloc.start()
        stored = encode_corpus(found, Encoding(kind))
        lanes = Lanes(stored.ids, lanes=4, steps=32)
        for _ in range(min(lanes.blocks_per_epoch, 500)):
            lanes.next()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1 << 16
