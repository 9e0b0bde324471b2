import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import Maker

from onward.data.corpus import find_sources
from onward.data.vocabulary import END, SymbolKind, Vocabulary
from onward.errors import CorpusError, InputError
from onward.inference.scoring.protocol import Learn
from onward.inference.scoring.score import Score
from onward.inference.trained_model import TrainedModel


def test_a_score_is_the_sum_of_the_nats(trained: TrainedModel) -> None:
    text = "abc dead\nbad\r\nfa\0ce \u4e2d."
    score = trained.score(text)
    assert (score.symbols, score.protocol) == (len(text), "streaming")
    assert score.nats == pytest.approx(trained.session(memory=0).feed(text).sum(), rel=1e-5)
    assert score.nats_per_symbol == pytest.approx(score.nats / len(text))
    assert score.bits_per_symbol == pytest.approx(score.nats_per_symbol / math.log(2))
    assert trained.score(text, cold=4).protocol == "cold-4"
    many = trained.score(text * 1000, lanes=7)
    assert (many.protocol, many.lanes, many.precision) == ("streaming", 7, "fp32")
    assert trained.score(text, cold=99).nats == pytest.approx(score.nats, rel=1e-6)


def test_the_json_of_a_score() -> None:
    assert Score(2, 2 * math.log(2), "streaming").to_json() == {
        "symbols": 2,
        "nats": 2 * math.log(2),
        "nats_per_symbol": math.log(2),
        "bits_per_symbol": 1.0,
        "protocol": "streaming",
        "lanes": 1,
        "precision": "fp32",
        "unknown": 0,
    }


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
@pytest.mark.parametrize("how", [{}, {"cold": 5}, {"lanes": 3}])
def test_files_texts_bytes_and_ids_score_the_same(
    make: Maker, tmp_path: Path, kind: SymbolKind, how: dict[str, Any]
) -> None:
    vocabulary = (
        Vocabulary.of_bytes() if kind == "bytes" else Vocabulary.of_text("ab cd\n\u00e9", kind, lower=True)
    )
    trained = make(vocabulary)
    text = "Ab \u00e9\u00e9 cd\r\n\n" * 5 + "ab\ud7ff"
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    sources = [text, text.encode(), vocabulary.encode(text), path, find_sources([path])]
    scores = [trained.score(source, **how) for source in sources]
    assert len(set(scores)) == 1
    lines = [[*trained.score_lines(source, **how)] for source in sources]
    shown = text.split("\n")
    for source_lines in (lines[0], lines[1], lines[3], lines[4]):
        assert [line.text for line in source_lines] == [line.removesuffix("\r") for line in shown]
    for source_lines in lines:
        assert [line.line for line in source_lines] == list(range(1, len(source_lines) + 1))
        assert sum(line.symbols for line in source_lines) == scores[0].symbols
        assert sum(line.nats for line in source_lines) == pytest.approx(scores[0].nats, rel=1e-6)
        assert [line.nats for line in source_lines] == pytest.approx([line.nats for line in lines[0]])
    symbols = [*trained.score_symbols(path, **how)]
    assert sum(symbol.nats for symbol in symbols) == pytest.approx(scores[0].nats, rel=1e-6)
    assert [symbol.symbol for symbol in symbols] == [
        vocabulary.symbol(i) for i in vocabulary.encode(text).tolist()
    ]
    assert [symbol.position for symbol in symbols] == list(range(len(symbols)))


def test_each_of_several_documents_has_an_end(trained: TrainedModel, tmp_path: Path) -> None:
    for name, content in (("1", "ab\ncd\n"), ("2", ""), ("3", "fa")):
        (tmp_path / name).write_text(content)
    corpus = find_sources([tmp_path])
    ids = np.concatenate(
        [trained.vocabulary.encode("ab\ncd\n"), [END, END], trained.vocabulary.encode("fa"), [END]]
    )
    nats = trained.session(memory=0).feed(ids)
    assert trained.score(corpus).nats == pytest.approx(nats.sum(), rel=1e-6)
    lines = [*trained.score_lines(corpus)]
    assert [(line.text, line.symbols) for line in lines] == [("ab", 3), ("cd", 4), ("", 1), ("fa", 3)]
    assert lines[1].nats == pytest.approx(nats[3:7].sum(), rel=1e-6)


def test_a_vocabulary_without_newline_has_one_line(make: Maker) -> None:
    trained = make(Vocabulary.of_text("abc", "characters"))
    assert [line.symbols for line in trained.score_lines("ab\ncc\n\na")] == [3, 3, 1, 1]
    assert len([*trained.score_lines(trained.vocabulary.encode("ab\ncc"))]) == 1


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_any_text_has_a_finite_score(trained: TrainedModel, text: str) -> None:
    score = trained.score(text)
    assert score.symbols == len(text)
    assert math.isfinite(score.nats)
    assert sum(line.symbols for line in trained.score_lines(text)) == len(text)


def test_progress_is_reported(trained: TrainedModel) -> None:
    calls: list[tuple[int, int]] = []
    trained.score("a" * 3000, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3000, 3000)
    assert len(calls) > 1


def test_an_empty_text_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for nothing in ("", b"", [], tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(CorpusError):
            trained.score(nothing)


def test_the_text_of_a_long_line_is_cut(trained: TrainedModel) -> None:
    (line,) = trained.score_lines("a" * 70_000)
    assert (line.symbols, len(line.text)) == (70_000, 65_536)


def test_unknown_symbols_are_counted(trained: TrainedModel) -> None:
    text = "bad \u00e9\u00e9 cab\u4e2d"
    assert trained.score(text).unknown == trained.unknown_symbols(text) == 3
    assert trained.score(text * 2000, lanes=7).unknown == 6000
    assert trained.score("bad cab").unknown == 0


@pytest.mark.parametrize("learn", ["memory", "both"])
def test_a_score_with_a_memory_is_that_of_a_session(trained: TrainedModel, learn: Learn) -> None:
    text = "bad cab, abed dab. " * 20
    found = trained.score(text, learn=learn)
    session = trained.session()
    if learn == "both":
        session.adapt()
    one_by_one = sum(session.feed(symbol)[0] for symbol in text)
    assert found.nats == pytest.approx(one_by_one, rel=1e-3)
    assert found.nats < 0.5 * trained.score(text).nats
    assert found.protocol == {"memory": "memory", "both": "adaptive+memory"}[learn]
    lines = trained.score_lines(text, learn=learn)
    assert sum(line.nats for line in lines) == pytest.approx(found.nats, rel=1e-5)


def test_a_text_is_scored_before_the_memory_learns_it(trained: TrainedModel) -> None:
    text = "bad cab, abed dab. " * 4
    first, second = ([*trained.score_symbols(text + end, learn="memory")] for end in ("abc", "cba"))
    assert first[: len(text)] == second[: len(text)]


def test_a_memory_to_score_with_has_a_size(trained: TrainedModel) -> None:
    with pytest.raises(InputError, match="expected a memory of 1 megabyte or more"):
        trained.score("abc", learn="memory", memory=0)
    with pytest.raises(InputError, match="expected one pass, since the memory or weights learn"):
        trained.score("abc", learn="memory", cold=4)
