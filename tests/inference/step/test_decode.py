"""The sampling loop: a lane gets the same symbols alone, in a batch, and after other lanes left."""

import numpy as np
import pytest
import torch

from onward.inference.prediction import initial_state, predict
from onward.inference.step.decode import Decoder, uniform_numbers
from onward.inference.step.sampling import Sampling, random_stream
from onward.inference.step.stepper import Stepper
from onward.layers.state import State
from onward.model import LanguageModel, ModelConfig

SYMBOLS, NEVER, STEPS = 12, 3, 20
SAMPLING = Sampling(temperature=0.8)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(symbols=SYMBOLS, layer="gated", width=8, layers=1)).eval()


def start(model: LanguageModel, symbol: int) -> tuple[np.ndarray, State]:
    """Logits (1, V) and state after a symbol."""
    logits, state = predict(model, torch.tensor([[symbol]]), initial_state(model, 1))
    return logits[-1].numpy(), state


def decoder_of(model: LanguageModel) -> Decoder:
    return Decoder(Stepper(model, initial_state(model, 1)), NEVER)


def drawn_alone(model: LanguageModel, lane: int) -> list[int]:
    decoder, uniforms = decoder_of(model), uniform_numbers(0, lane)
    decoder.add(*start(model, 4 + lane))
    return [int(decoder.draw(np.array([next(uniforms)]), SAMPLING)[0]) for _ in range(STEPS)]


def test_uniform_numbers_are_those_of_the_random_stream() -> None:
    numbers = uniform_numbers(3, 1)
    expected = random_stream(3, 1).random(3000)
    assert [next(numbers) for _ in range(3000)] == expected.tolist()


@pytest.mark.parametrize("each", [False, True])
def test_lanes_that_join_and_leave_draw_what_they_would_draw_alone(model: LanguageModel, each: bool) -> None:
    decoder = decoder_of(model)
    uniforms = [uniform_numbers(0, lane) for lane in range(3)]
    drawn: list[list[int]] = [[], [], []]
    lanes: list[int] = []
    for step in range(3 * STEPS):
        if step % 5 == 0 and step // 5 < 3:
            decoder.add(*start(model, 4 + step // 5))
            lanes.append(step // 5)
        numbers = np.array([next(uniforms[lane]) for lane in lanes])
        if each:
            symbols = decoder.draw_each(numbers, [SAMPLING] * len(lanes))
        else:
            symbols = decoder.draw(numbers, SAMPLING)
        for lane, symbol in zip(lanes, symbols.tolist(), strict=True):
            drawn[lane].append(symbol)
        kept = [i for i, lane in enumerate(lanes) if len(drawn[lane]) < STEPS]
        if len(kept) < len(lanes):
            decoder.select(np.array(kept, np.int64))
            lanes = [lanes[i] for i in kept]
        assert len(decoder) == len(lanes)
        if not lanes:
            break
    assert drawn == [drawn_alone(model, lane) for lane in range(3)]
    assert min(min(symbols) for symbols in drawn) >= NEVER


def test_the_logits_that_were_added_are_not_changed(model: LanguageModel) -> None:
    logits, state = start(model, 4)
    before = logits.copy()
    decoder = decoder_of(model)
    decoder.add(logits, state)
    decoder.draw(np.array([0.5]), SAMPLING)
    np.testing.assert_array_equal(logits, before)
