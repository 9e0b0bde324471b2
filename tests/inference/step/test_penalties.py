"""Penalties change logits as OpenAI's and llama.cpp's documentation say."""

import numpy as np
import pytest

from onward.inference.step.penalties import PenalizedSample, Penalties

LOGITS = np.array([2.0, -2.0, 0.5, 1.0], np.float32)


def after(penalties: Penalties, written: list[int], prompt: list[int]) -> list[float]:
    sample = PenalizedSample(penalties, len(LOGITS), prompt)
    for symbol in written:
        sample.append(symbol)
    logits = LOGITS.copy()
    sample.apply(logits)
    return logits.tolist()


@pytest.mark.parametrize(
    ("penalties", "expected"),
    [
        (Penalties(presence=0.5), [1.5, -2.5, 0.5, 1.0]),
        (Penalties(frequency=0.5), [1.0, -2.5, 0.5, 1.0]),
        (Penalties(presence=1, frequency=-0.5), [2.0, -2.5, 0.5, 1.0]),
        (Penalties(repeat=2), [1.0, -4.0, 0.25, 1.0]),
        (Penalties(repeat=2, last=2), [1.0, -4.0, 0.5, 1.0]),
        (Penalties(repeat=2, last=0), [2.0, -2.0, 0.5, 1.0]),
        (Penalties(bias=((3, -100.0), (1, 1.5))), [2.0, -0.5, 0.5, -99.0]),
        (Penalties(repeat=2, presence=1, bias=((0, 1.0),)), [1.0, -5.0, 0.25, 1.0]),
    ],
)
def test_logits_change_with_the_symbols_so_far(penalties: Penalties, expected: list[float]) -> None:
    assert penalties.have_effect == (expected != LOGITS.tolist())
    assert after(penalties, [0, 1, 0], [2]) == expected


def test_only_repeat_looks_at_the_prompt() -> None:
    assert after(Penalties(presence=1, frequency=1), [], [0, 1]) == LOGITS.tolist()
    assert after(Penalties(repeat=4), [], [0]) == [0.5, -2.0, 0.5, 1.0]
