from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import Maker

from onward.data.vocabulary import Vocabulary
from onward.errors import CorpusError, InputError
from onward.inference.novelty import matcher
from onward.inference.novelty.novelty import novelty, search_slices

Spans = list[tuple[int, int]]


def direct_search(text: str, documents: list[str], minimum: int) -> tuple[int, Spans]:
    """Returns the number of covered symbols, and the spans, the longest first."""
    covered: set[int] = set()
    spans: Spans = []
    end = 0
    for start in range(len(text)):
        length = 0
        while start + length < len(text) and any(text[start : start + length + 1] in d for d in documents):
            length += 1
        if length < minimum:
            continue
        covered |= set(range(start, start + length))
        if start + length > end:
            spans.append((start, length))
            end = start + length
    return len(covered), sorted(spans, key=lambda span: (-span[1], span[0]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("ab\n", min_size=1, max_size=60), min_size=1, max_size=3),
    st.data(),
    st.integers(1, 8),
    st.sampled_from([1, 3, 7, 1 << 18]),
)
def test_spans_are_those_of_a_direct_search(
    tmp_path_factory, documents: list[str], data: st.DataObject, minimum: int, piece: int
) -> None:
    copied = st.sampled_from(documents).flatmap(
        lambda d: st.tuples(st.integers(0, len(d)), st.integers(0, 40)).map(
            lambda at: d[at[0] : at[0] + at[1]]
        )
    )
    text = "".join(data.draw(st.lists(st.one_of(copied, st.text("abz", max_size=3)), max_size=5))) + "a"
    folder = tmp_path_factory.mktemp("corpus")
    for number, document in enumerate(documents):
        (folder / str(number)).write_bytes(document.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matcher, "PIECE", piece)
        found = novelty(text, folder, minimum=minimum, longest=999)
    assert (found.covered, [(span.start, span.length) for span in found.spans]) == direct_search(
        text, documents, minimum
    )
    assert found.symbols == len(text)
    assert found.span_count == len(found.spans)
    for span in found.spans:
        number = int(Path(span.document).name)
        first = next((n, d.find(span.text)) for n, d in enumerate(documents) if span.text in d)
        assert (number, span.position) == first
        assert span.text == text[span.start : span.start + span.length]
        assert span.line == documents[number][: span.position].count("\n") + 1


def test_a_search_can_be_stopped_after_each_piece(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_text("the lane goes on")
    search = search_slices("the lane", tmp_path, kind="characters", lower=False, minimum=3, longest=1)
    for _ in range(3):
        next(search)
    search.close()
    with pytest.raises(StopIteration):
        next(search)


def test_spans_of_characters_bytes_and_words(tmp_path: Path, make: Maker) -> None:
    corpus = tmp_path / "corpus"
    corpus.write_bytes("One \u00e9t\u00e9 of summer,\ntwo of winter \u4e2d".encode() + b"\xff\n")
    text = "so: TWO OF WINTER \u4e2d"
    found = novelty(text, corpus, lower=True, minimum=10)
    assert [(s.text, s.line, s.position) for s in found.spans] == [("two of winter \u4e2d", 2, 19)]
    assert found.share == pytest.approx(15 / 19)
    raw = novelty(text.lower(), corpus, kind="bytes", minimum=10)
    assert [(s.text, s.length, s.position) for s in raw.spans] == [("two of winter \u4e2d", 17, 21)]
    words = novelty("two of winter. two of spring", corpus, kind="words", minimum=4)
    assert [(s.text, s.length) for s in words.spans] == [("two of winter", 5), ("two of ", 4)]
    assert (words.spans[0].line, words.covered) == (2, 9)
    trained = make(Vocabulary.of_text("two", "characters", lower=True))
    assert trained.novelty(text, corpus, minimum=10) == found


def test_the_text_may_be_a_file_and_the_corpus_several_sources(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"the {name} of many things")
    wanted = novelty("the b of many", [tmp_path / "a", tmp_path / "b"], minimum=5)
    assert [Path(span.document).name for span in wanted.spans] == ["b"]
    (tmp_path / "text").write_text("the b of many")
    assert novelty(tmp_path / "text", [tmp_path / "a", str(tmp_path / "b")], minimum=5) == wanted
    assert novelty(b"the b of many", [tmp_path / "a", tmp_path / "b"], minimum=5) == wanted
    assert wanted.to_json()["share"] == 1.0
    assert wanted.to_json()["spans"][0]["text"] == "the b of many"


def test_a_text_shorter_than_the_minimum_has_no_span(tmp_path: Path) -> None:
    (tmp_path / "corpus").write_text("abc")
    found = novelty("ab", tmp_path / "corpus")
    assert (found.covered, found.share, found.spans, found.minimum) == (0, 0.0, (), 20)


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus").write_text("abc")
    with pytest.raises(CorpusError):
        novelty("", tmp_path / "corpus")
    with pytest.raises(CorpusError):
        novelty("abc", tmp_path / "missing")
    with pytest.raises(InputError):
        novelty("abc", tmp_path / "corpus", minimum=0)
    with pytest.raises(InputError):
        novelty("abc", tmp_path / "corpus", longest=-1)
