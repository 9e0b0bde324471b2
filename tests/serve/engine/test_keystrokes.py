"""Keystrokes that are answered in one batch get what each would get alone."""

from pathlib import Path

import numpy as np
import pytest

import onward
from onward.inference.prediction import initial_state
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.keystrokes import CACHE_FROM, CancellationToken, Keystroke, Prediction, Predictor
from onward.serve.engine.typed_text import TypedText

TEXTS = ["the ", "the lane", "", "goes on wh", "and the ", "state", "e\n", "where", "the state is.", "lan"]


class Typists:
    """Several users who type at the same time."""

    def __init__(self, trained: TrainedModel, number: int) -> None:
        stepper = Stepper(trained.model, initial_state(trained.model, 1))
        self._predictor = Predictor(trained, stepper)
        self.typed = [TypedText(trained, stepper) for _ in range(number)]

    def type(
        self, texts: list[str], unchanged: int | None = None, cancellation: CancellationToken | None = None
    ) -> list[Prediction]:
        """The predictions for new texts; by default the last character is new."""
        keystrokes = [
            Keystroke(
                typed,
                text,
                len(text),
                max(0, len(text) - 1) if unchanged is None else unchanged,
                AnswerOptions(),
                cancellation or CancellationToken(),
            )
            for typed, text in zip(self.typed, texts, strict=True)
        ]
        found = self._predictor.predict(keystrokes)
        predictions = [each for each in found if isinstance(each, Prediction)]
        assert len(predictions) == len(keystrokes)
        return predictions


@pytest.fixture(scope="module")
def trained(model: Path) -> TrainedModel:
    return onward.load(model)


def alone(trained: TrainedModel, text: str) -> Prediction:
    """The prediction for a text that is read at once."""
    (prediction,) = Typists(trained, 1).type([text], 0)
    return prediction


def symbols(prediction: Prediction) -> dict[str, float]:
    assert prediction.next is not None
    return {each.symbol: each.probability for each in prediction.next}


def completions(prediction: Prediction) -> dict[str, float]:
    assert prediction.completions is not None
    return {each.text: each.probability for each in prediction.completions}


def test_a_batch_predicts_the_symbols_that_each_text_alone_would_get(trained: TrainedModel) -> None:
    typists = Typists(trained, len(TEXTS))
    typists.type([text[:-1] for text in TEXTS], 0)
    predictions = typists.type(TEXTS)
    for prediction, text in zip(predictions, TEXTS, strict=True):
        ours, theirs = symbols(prediction), symbols(alone(trained, text))
        np.testing.assert_allclose([ours[name] for name in theirs], [*theirs.values()], atol=1e-5)
    assert [each.symbols_read for each in predictions] == [min(1, len(text)) for text in TEXTS]


def test_cached_completions_are_as_likely_as_those_that_a_search_finds(trained: TrainedModel) -> None:
    texts = [text for text in TEXTS if text]
    assert len(texts) >= CACHE_FROM
    typists = Typists(trained, len(texts))
    typists.type([text[:-1] for text in texts], 0)
    compared = 0
    for prediction, text in zip(typists.type(texts), texts, strict=True):
        found, searched = completions(prediction), completions(alone(trained, text))
        assert found or not searched
        for completion in found.keys() & searched.keys():
            compared += 1
            assert found[completion] == pytest.approx(searched[completion], rel=0.02, abs=1e-4)
    assert compared >= len(texts) // 2


def test_a_replaced_symbol_empties_the_cache(trained: TrainedModel) -> None:
    typists = Typists(trained, CACHE_FROM)
    typists.type(["the la"] * CACHE_FROM, 0)
    replaced = [*completions(typists.type(["the st"] * CACHE_FROM, 4)[0])]
    assert replaced
    assert replaced == [*completions(alone(trained, "the st"))][: len(replaced)]


def test_a_cancelled_keystroke_is_read_but_gets_no_prediction(trained: TrainedModel) -> None:
    typists = Typists(trained, 1)
    (prediction,) = typists.type(["the"], 0, CancellationToken(is_cancelled=True))
    assert prediction == Prediction(None, None, 3)
    assert typists.typed[0].session.position == 3


def test_a_session_that_fails_does_not_fail_the_others(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper = Stepper(trained.model, initial_state(trained.model, 1))
    first, second = TypedText(trained, stepper), TypedText(trained, stepper)

    def broken(*_: object) -> np.ndarray:
        raise ValueError("broken")

    monkeypatch.setattr(first, "rewind", broken)
    keystrokes = [
        Keystroke(typed, "the ", 4, 0, AnswerOptions(), CancellationToken()) for typed in (first, second)
    ]
    failed, answered = Predictor(trained, stepper).predict(keystrokes)
    assert isinstance(failed, ValueError)
    assert isinstance(answered, Prediction)
    assert completions(answered) == completions(alone(trained, "the "))
