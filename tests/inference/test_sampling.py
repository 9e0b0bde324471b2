import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.errors import InputError, RunError
from onward.inference.sampling import Sampling

PROBABILITIES = np.array([0.4, 0.1, 0.3, 0.15, 0.05])


def shares(sampling: Sampling, probabilities: np.ndarray = PROBABILITIES) -> np.ndarray:
    """How often each symbol is drawn, over chances that cover [0, 1) evenly."""
    chances = (np.arange(2000) + 0.5) / 2000
    logits = np.tile(np.log(probabilities).astype(np.float32), (len(chances), 1))
    return np.bincount(sampling.draw(logits, chances), minlength=len(probabilities)) / len(chances)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, PROBABILITIES),
        ({"temperature": 0.0}, [1, 0, 0, 0, 0]),
        ({"temperature": 0.5}, PROBABILITIES**2 / (PROBABILITIES**2).sum()),
        ({"top_k": 1}, [1, 0, 0, 0, 0]),
        ({"top_k": 2}, [4 / 7, 0, 3 / 7, 0, 0]),
        ({"top_k": 99}, PROBABILITIES),
        ({"top_p": 0.0}, [1, 0, 0, 0, 0]),
        ({"top_p": 0.69}, [4 / 7, 0, 3 / 7, 0, 0]),
        ({"top_p": 0.71}, [0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0]),
        ({"top_p": 1.0}, PROBABILITIES),
        ({"min_p": 0.3}, [0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0]),
        ({"min_p": 1.0}, [1, 0, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.9, "min_p": 0.5}, [4 / 7, 0, 3 / 7, 0, 0]),
    ],
)
def test_each_option_keeps_the_shares_it_should(options: dict, wanted: list[float]) -> None:
    np.testing.assert_allclose(shares(Sampling(**options)), wanted, atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 2**32), st.floats(1e-3, 50))
def test_what_is_barred_is_never_drawn(chance: float, seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(0, 30, (3, 7)).astype(np.float32)
    logits[:, [0, 3, 6]] = -np.inf
    drawn = Sampling(temperature=temperature).draw(logits, np.array([chance, 0.0, 1 - 2**-53]))
    assert not set(drawn.tolist()) & {0, 3, 6}


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 1.1}, {"min_p": -0.1}],
)
def test_values_that_are_none_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_logits_that_are_no_numbers_are_told() -> None:
    with pytest.raises(RunError, match="finite"):
        Sampling().draw(np.full((1, 3), np.nan, np.float32), np.zeros(1))
