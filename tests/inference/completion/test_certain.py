"""The certain continuation is the one of the likeliest symbols."""

import pytest
from tests.inference.conftest import Maker
from tests.serve.loop import finish

from onward.inference.completion.certain import certain
from onward.inference.completion.options import CompleteOptions
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel


def found(trained: TrainedModel, text: str, floor: float, length: int, memory: int) -> tuple[str, float]:
    session = trained.session(memory=memory)
    session.feed(text)
    stepper = Stepper(trained.model, session.state)
    start = session.search_start(CompleteOptions())
    one = finish(certain(stepper, trained.vocabulary, start, floor, length))
    return one.text, one.probability


@pytest.mark.parametrize("memory", [0, 1])
@pytest.mark.parametrize("floor", [0.9, 0.5, 0.1, 1e-4])
def test_it_goes_on_while_the_product_is_certain(make: Maker, floor: float, memory: int) -> None:
    trained = make(seed=2)
    text, probability = found(trained, "a bad cab", floor, 12, memory)
    session, product = trained.session(memory=0), 1.0
    session.feed("a bad cab")
    likely = [trained.vocabulary.symbol(i) for i in range(4, len(trained.vocabulary))]
    expected = ""
    while len(expected) < 12:
        next_ = session.next_distribution()
        best = max((symbol for symbol in likely if symbol != "\\n"), key=lambda symbol: next_[symbol])
        if product * next_[best] < floor:
            break
        product *= next_[best]
        expected += best
        session.feed(best)
    if not memory:
        assert text == expected
        assert probability == pytest.approx(product, rel=1e-3)
    assert probability >= floor or not text


def test_it_ends_with_the_line_and_at_its_length(make: Maker) -> None:
    for seed in range(6):
        text, _ = found(make(seed=seed), "a", 0.0, 30, 0)
        assert len(text) == 30
        assert "\n" not in text
