"""What is written or completed without a prime begins as the texts of the corpus begin."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.inference.conftest import ALPHABET, Maker

import onward
from onward.artefact import Artefact
from onward.data.vocabulary import END, Vocabulary
from onward.inference.trained_model import TrainedModel


def with_facts(trained: TrainedModel, **corpus: Any) -> TrainedModel:
    artefact = trained.artefact
    return TrainedModel(Artefact(artefact.model, artefact.vocabulary, artefact.recipe, {"corpus": corpus}))


def likely_after_newline(trained: TrainedModel, text: str, logit: float) -> TrainedModel:
    """Returns the model with a logit added to a symbol, wherever it is."""
    (symbol,) = trained.vocabulary.encode(text).tolist()
    with torch.no_grad():
        trained.model.readout.bias[symbol] += logit
    return trained


@pytest.mark.parametrize(
    ("vocabulary", "facts", "begins"),
    [
        (Vocabulary.of_text(ALPHABET, "characters"), {"ends": 3, "newlines": 9}, [END]),
        (Vocabulary.of_text("a. ", "characters"), {"ends": 0, "newlines": 0}, ". "),
        (Vocabulary.of_text("\u0939\u0964 ", "characters"), {}, "\u0964 "),
        (Vocabulary.of_text("\u4e2d\u3002", "characters"), {"ends": 0}, "\u3002"),
        (Vocabulary.of_text("one two", "words"), {"ends": 0}, " "),
        (Vocabulary.of_text("ab", "characters"), {"ends": 0}, ""),
        (Vocabulary.of_bytes(), {"ends": 0, "newlines": 0}, ". "),
    ],
    ids=["documents", "sentences", "danda", "Chinese", "words", "letters", "bytes"],
)
def test_a_text_begins_after_what_ends_a_text(
    make: Maker, vocabulary: Vocabulary, facts: dict[str, Any], begins: str | list[int]
) -> None:
    trained = with_facts(make(vocabulary), **facts)
    expected = trained.vocabulary.encode(begins) if isinstance(begins, str) else begins
    np.testing.assert_array_equal(trained.beginning, expected)
    if len(expected):
        assert trained.write(length=30, seed=1) == trained.write(expected, length=30, seed=1)
        assert trained.samples("", 2, length=9) == trained.samples(expected, 2, length=9)


@pytest.mark.parametrize("vocabulary", [Vocabulary.of_text(ALPHABET, "characters"), Vocabulary.of_bytes()])
def test_paragraphs_begin_after_a_blank_line(make: Maker, vocabulary: Vocabulary) -> None:
    rare, frequent = (
        with_facts(likely_after_newline(make(vocabulary), "\n", logit), ends=0, newlines=5)
        for logit in (-20.0, 20.0)
    )
    np.testing.assert_array_equal(rare.beginning, vocabulary.encode("\n"))
    np.testing.assert_array_equal(frequent.beginning, vocabulary.encode("\n\n"))
    # a model of an earlier version does not know the number of newlines
    unknown = TrainedModel(Artefact(rare.model, vocabulary, {}, {}))
    np.testing.assert_array_equal(unknown.beginning, vocabulary.encode("\n"))


def test_completions_of_an_empty_text_begin_words(make: Maker) -> None:
    trained = with_facts(make(), ends=1)
    session, after = trained.session(), trained.session()
    before = session.next_distribution().probabilities
    after.feed([END])
    assert trained.complete("") == session.complete() == after.complete() != session.complete("a")
    # scores do not change, before and after a text is completed
    np.testing.assert_array_equal(session.next_distribution().probabilities, before)
    np.testing.assert_array_equal(session.feed("bad"), TrainedModel(trained.artefact).session().feed("bad"))
    session.rollback(3)
    assert session.complete() == after.complete()


@pytest.mark.slow
def test_a_trained_model_begins_with_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    names = ("Anna", "Bernard", "Cecilia", "Dorothea")
    lines = [f"{name} walked along the river with {other}.\n" for name in names for other in names]
    text.write_text("".join(lines * 20))
    model = onward.train(text, recipe="tiny", steps=150, precision="fp32")
    assert model.info()["facts"]["corpus"]["newlines"] == len(lines) * 20
    texts = model.samples(count=20, length=8, temperature=0.5)
    assert all(text.startswith(names) for text in texts), texts
    assert all(found.text.startswith(names) for found in model.complete(n=4))
