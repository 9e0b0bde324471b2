"""Keys that are answered together get what each would get alone."""

import numpy as np
import pytest

import onward
from onward.inference.prediction import initial_state
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.keystrokes import MANY, Answer, Keyboard, Keystroke
from onward.serve.engine.typed_text import CompletionWanted, TypedText

TEXTS = ["the ", "the lane", "", "goes on wh", "and the ", "state", "e\n", "where", "the state is.", "lan"]


class Desk:
    """A keyboard and texts that are typed on it."""

    def __init__(self, trained: TrainedModel, texts: list[str]) -> None:
        self.stepper = Stepper(trained.model, initial_state(trained.model, 1))
        self.keyboard = Keyboard(trained, self.stepper)
        self.typed = [TypedText(trained, self.stepper) for _ in texts]

    def type(self, texts: list[str], changed: int | None = None) -> list[Answer]:
        answers = self.keyboard.answer(
            [
                Keystroke(
                    typed,
                    text,
                    len(text),
                    max(0, len(text) - 1) if changed is None else changed,
                    CompletionWanted(),
                    lambda: True,
                )
                for typed, text in zip(self.typed, texts, strict=True)
            ]
        )
        assert all(isinstance(answer, Answer) for answer in answers)
        return answers  # type: ignore[return-value]


@pytest.fixture(scope="module")
def trained(model) -> TrainedModel:
    return onward.load(model)


def wanted(trained: TrainedModel, texts: list[str]) -> list[Answer]:
    return [desk.type([text], 0)[0] for text in texts for desk in [Desk(trained, [text])]]


def test_together_as_alone(trained) -> None:
    desk = Desk(trained, TEXTS)
    desk.type([text[:-1] for text in TEXTS], 0)
    together = desk.type(TEXTS)
    for answer, alone in zip(together, wanted(trained, TEXTS), strict=True):
        ours = {each["symbol"]: each["probability"] for each in answer.expected["next"]}
        theirs = {each["symbol"]: each["probability"] for each in alone.expected["next"]}
        np.testing.assert_allclose([ours[name] for name in theirs], [*theirs.values()], atol=1e-5)
    assert [answer.read for answer in together] == [min(1, len(text)) for text in TEXTS]


def test_what_was_found_and_goes_on_is_as_likely_as_a_search_finds_it(trained) -> None:
    texts = [text for text in TEXTS if text]
    assert len(texts) >= MANY
    desk = Desk(trained, texts)
    desk.type([text[:-1] for text in texts], 0)
    kept = 0
    for answer, alone in zip(desk.type(texts), wanted(trained, texts), strict=True):
        likely = {each["text"]: each["probability"] for each in alone.expected["completions"]}
        assert answer.expected["completions"] or not likely
        for each in answer.expected["completions"]:
            if each["text"] in likely:
                kept += 1
                assert each["probability"] == pytest.approx(likely[each["text"]], rel=0.02, abs=1e-4)
    assert kept >= len(texts) // 2


def test_a_symbol_that_was_replaced_takes_its_completions_with_it(trained) -> None:
    texts = ["the la"] * MANY
    desk = Desk(trained, texts)
    desk.type(texts, 0)
    replaced = desk.type(["the st"] * MANY, 4)[0]
    assert [each["text"] for each in replaced.expected["completions"]] == [
        each["text"] for each in wanted(trained, ["the st"])[0].expected["completions"]
    ][: len(replaced.expected["completions"])]


def test_who_was_overtaken_gets_nothing_but_is_read(trained) -> None:
    desk = Desk(trained, ["the"])
    (answer,) = desk.keyboard.answer(
        [Keystroke(desk.typed[0], "the", 3, 0, CompletionWanted(), lambda: False)]
    )
    assert answer == Answer({"completions": None, "next": None}, 3)
    assert desk.typed[0].session.position == 3
