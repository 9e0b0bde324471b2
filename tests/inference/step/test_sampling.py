import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.errors import InputError, RunError
from onward.inference.step.sampling import Sampling
from onward.layers.kernels import compiled

PROBABILITIES = np.array([0.4, 0.1, 0.3, 0.15, 0.05])


def shares(sampling: Sampling, probabilities: np.ndarray = PROBABILITIES) -> np.ndarray:
    """Returns how often each symbol is drawn, for random numbers that cover [0, 1) evenly."""
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
        ({"top_k": 2**63}, PROBABILITIES),
        ({"top_p": 0.0}, [1, 0, 0, 0, 0]),
        ({"top_p": 0.69}, [4 / 7, 0, 3 / 7, 0, 0]),
        ({"top_p": 0.71}, [0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0]),
        ({"top_p": 1.0}, PROBABILITIES),
        ({"min_p": 0.3}, [0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0]),
        ({"min_p": 1.0}, [1, 0, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.9, "min_p": 0.5}, [4 / 7, 0, 3 / 7, 0, 0]),
    ],
)
def test_each_option_restricts_the_symbols_as_documented(options: dict, wanted: list[float]) -> None:
    np.testing.assert_allclose(shares(Sampling(**options)), wanted, atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2**32),
    st.floats(1e-3, 50) | st.sampled_from([1e-4, 1e38, 1e39, 1.7e308]),
)
def test_symbols_with_logit_minus_infinity_are_never_drawn(
    chance: float, seed: int, temperature: float
) -> None:
    logits = np.random.default_rng(seed).normal(0, 30, (3, 7)).astype(np.float32)
    logits[:, [0, 3, 6]] = -np.inf
    for kind in (np.float32, np.float64):  # in C, and in NumPy
        drawn = Sampling(temperature=temperature).draw(logits.astype(kind), np.array([chance, 0, 1 - 2**-53]))
        assert not set(drawn.tolist()) & {0, 3, 6}


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 1.1}, {"min_p": -0.1}],
)
def test_values_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sampling(**wrong)


@pytest.mark.parametrize("row", [[0, math.nan, 1], [math.inf, 0, 0], [-math.inf] * 3])
@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])  # in C, and in NumPy
def test_logits_that_are_not_finite_raise_an_error(row: list[float], temperature: int, dtype: type) -> None:
    with pytest.raises(RunError, match="finite"):
        Sampling(temperature=temperature).draw(np.array([row], dtype), np.zeros(1))


@pytest.mark.skipif(not compiled.available, reason="the C kernels were not built here")
@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
        top_k=st.none() | st.integers(1, 80),
        top_p=st.none() | st.floats(0, 1),
        min_p=st.none() | st.floats(0, 1),
    ),
    st.integers(1, 70),
    st.integers(0, 2**32),
)
def test_c_and_numpy_draw_the_same_symbols(sampling: Sampling, symbols: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (20, symbols)).astype(np.float32).round(1)  # some are equal
    logits[:, random.random(symbols) < 0.2] = -np.inf
    logits[:, -1] = 0.0
    chances = random.random(20)
    chances[0] = 0.0
    found, wanted = sampling.draw(logits, chances), sampling.draw(logits.astype(np.float64), chances)
    assert (found != wanted).sum() <= (
        sampling.top_p is not None
    )  # rounding may decide whether a sum reaches the share


def test_arrays_may_be_slices_and_read_only() -> None:
    logits = np.log(np.tile(PROBABILITIES, (6, 2)).astype(np.float32))
    chances = np.full(6, 0.45, np.float32)
    chances.flags.writeable = False
    assert Sampling().draw(logits[::2, :5], chances[::2]).tolist() == [1, 1, 1]
