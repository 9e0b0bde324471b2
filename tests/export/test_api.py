"""The model in a page predicts what onward predicts."""

import math
import random
from pathlib import Path

import pytest
from tests.export.conftest import Exported
from tests.export.nodejs import ask_page, needs_node
from tests.inference.models import needs_kernels
from tests.serve.page.browsing import TEXT, TYPED

import onward
from onward.artefact import Artefact
from onward.data.vocabulary import SymbolKind, Vocabulary
from onward.export.page import export_page
from onward.inference.trained_model import TrainedModel
from onward.model import LanguageModel, ModelConfig
from onward.units import nats_to_bits

pytestmark = needs_node
OPTIONS = {"completions": 3, "next": 5, "until": "word"}


def begin(text: str, cursor: int | None = None) -> tuple[str, dict[str, object]]:
    """Returns the request for a session."""
    return "createSession", {"text": text, "cursor": len(text) if cursor is None else cursor, **OPTIONS}


def test_the_surprise_of_a_text_is_that_of_onward(exported: Exported) -> None:
    text = TEXT[:2000]
    (score,) = ask_page(exported.page, ("score", {"text": text}))
    expected = exported.trained.score(text)
    assert score["count"] == expected.symbols
    assert score["bits_per_symbol"] == pytest.approx(nats_to_bits(expected.nats_per_symbol), abs=1e-3)


def test_each_symbol_has_its_name_and_its_likely_alternatives(exported: Exported) -> None:
    text = "the lot"
    (score,) = ask_page(exported.page, ("score", {"text": text}))
    vocabulary = exported.trained.vocabulary
    assert [s["symbol"] for s in score["symbols"]] == [
        vocabulary.symbol(i) for i in vocabulary.encode(text).tolist()
    ]
    session = exported.trained.session(memory=0)
    session.feed(text[:4])
    place = len(vocabulary.encode(text[:4]))
    for other, (name, probability) in zip(
        score["symbols"][place]["alternatives"], session.next_distribution().top(3), strict=True
    ):
        assert other["symbol"] == name
        assert other["probability"] == pytest.approx(probability, abs=0.01)


@pytest.mark.parametrize("typed", [TYPED, "", "the st", "the state goes on where the ", "the state goes"])
def test_completions_are_those_of_onward(exported: Exported, typed: str) -> None:
    (answer,) = ask_page(exported.page, begin(typed))
    session = exported.trained.session(memory=0)
    expected = session.complete(typed, n=3, shortest=2, floor=0.01)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in expected]
    for found, other in zip(answer["completions"], expected, strict=True):
        assert found["probability"] == pytest.approx(other.probability, abs=0.02)


@pytest.mark.slow
def test_words_end_where_the_model_is_in_doubt_in_scripts_without_spaces(tmp_path: Path) -> None:
    lines = [
        f"\u4eca\u5929\u5929\u6c14{last}\u6211\u4eec\u53bb"
        for last in ("\u5f88\u597d", "\u4e0d\u9519", "\u592a\u51b7")
    ]
    text = "".join(random.Random(0).choices(lines, k=400))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    trained = onward.train(tmp_path / "text.txt", recipe="tiny", steps=60)
    export_page(trained, tmp_path / "page.html")
    typed = "\u4eca\u5929"
    (answer,) = ask_page(tmp_path / "page.html", begin(typed))
    expected = trained.session(memory=0).complete(typed, n=3, shortest=2, floor=0.01)
    assert expected[0].text == "\u5929\u6c14"  # what follows may be three things
    assert [each["text"] for each in answer["completions"]] == [each.text for each in expected]


def test_next_symbols_are_those_of_onward(exported: Exported) -> None:
    typed = "the state goes on where the "
    (answer,) = ask_page(exported.page, begin(typed))
    session = exported.trained.session(memory=0)
    session.feed(typed)
    expected = session.next_distribution().top(5)
    assert [each["symbol"] for each in answer["next"]] == [name for name, _ in expected]
    assert math.isclose(answer["next"][0]["probability"], expected[0][1], abs_tol=0.01)


def test_an_edited_text_is_predicted_as_if_it_had_been_typed_at_once(exported: Exported) -> None:
    end = len(TEXT[:300])
    edits = [
        {"at": end, "delete": 0, "insert": "the state g", "cursor": end + 11},
        {"at": end - 200, "delete": 150, "insert": "", "cursor": end - 139},
        {"cursor": 20},
    ]
    texts = [TEXT[:300] + "the state g"]
    texts += [texts[0][: end - 200] + texts[0][end - 50 :]] * 2
    answers = ask_page(exported.page, begin(TEXT[:300]), *(("editSession", {}, e | OPTIONS) for e in edits))
    for answer, text, edit in zip(answers[1:], texts, edits, strict=True):
        (fresh,) = ask_page(exported.page, begin(text, edit["cursor"]))
        assert answer == fresh


@needs_kernels
def test_the_likeliest_text_is_that_of_onward(exported: Exported) -> None:
    request = {"prompt": "the lane ", "max_tokens": 40, "temperature": 0}
    (written,) = ask_page(exported.page, ("complete", request))
    assert written == exported.trained.write(
        "the lane ", length=40, temperature=0, weights="bf16", ignore_end=True
    )


def test_the_same_seed_writes_the_same_text_only(pages: dict[SymbolKind, Exported]) -> None:
    request = {"prompt": "", "max_tokens": 60, "temperature": 1.5}
    seeds = [{"seed": 7}, {"seed": 7}, {"seed": 8}, {}, {}]
    first, again, other, free, freer = ask_page(
        pages["characters"].page, *(("complete", request | seed) for seed in seeds)
    )
    assert first == again
    assert len({first, other, free, freer}) == 4


def test_a_score_that_was_aborted_leaves_nothing_wrong(pages: dict[SymbolKind, Exported]) -> None:
    page = pages["characters"].page
    (expected,) = ask_page(page, ("score", {"text": TEXT[:500]}))
    before, left, after = ask_page(
        page,
        ("score", {"text": TEXT[:400] + "x" * 50}),
        ("leave", {"text": TEXT[:1000]}),
        ("score", {"text": TEXT[:500]}),
    )
    assert (before["count"], left) == (450, "AbortError")
    assert after == expected


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
def test_texts_are_split_as_onward_splits_them(kind: SymbolKind, lower: bool, tmp_path: Path) -> None:
    known = (
        "Don't \u00e9t\u00e9_1, \u4e2d\u6587 \U0001f600! "
        + "x" * 300
        + " \u0661\u00bd\u2167 \u03a3\u03c3\u03c2\n"
    )
    text = known + "\0 \u0130 unseen \u0928\u092e\u0938\u094d\u0924\u0947 A\u0308"
    vocabulary = Vocabulary.of_text(known, kind, lower=lower)
    model = LanguageModel(ModelConfig(symbols=len(vocabulary), width=8, layers=1)).eval()
    export_page(TrainedModel(Artefact(model, vocabulary)), tmp_path / "page.html")
    (score,) = ask_page(tmp_path / "page.html", ("score", {"text": text}))
    names = [symbol["symbol"] for symbol in score["symbols"]]
    assert names == [vocabulary.symbol(i) for i in vocabulary.encode(text).tolist()]
