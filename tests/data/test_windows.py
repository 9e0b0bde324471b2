import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.data.windows import Windows, shuffled
from onward.errors import CorpusError, RecipeError


def corpus(symbols: int) -> np.ndarray:
    return np.arange(4, 4 + symbols, dtype=np.uint16)


@given(st.integers(2, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 3))
def test_each_window_comes_once_an_epoch(
    symbols: int, length: int, stride: int, batch: int, epoch: int
) -> None:
    ids = corpus(max(symbols, length + 1))
    windows = Windows(ids, length=length, stride=stride, batch=batch, seed=1)
    samples = []
    for x, y in windows.epoch(epoch):
        assert x.shape == y.shape
        assert x.shape[0] == length
        assert x.shape[1] <= batch
        assert torch.equal(x + 1, y)
        samples += x.T.tolist()
    expected = [ids[i : i + length].tolist() for i in range(0, len(ids) - length, stride)]
    assert sorted(samples) == expected
    assert len(windows) == len(expected)


@given(st.integers(1, 3000), st.integers(0, 2**70), st.integers(0, 9))
def test_the_order_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    assert sorted(shuffled(np.arange(size), size, seed, epoch).tolist()) == list(range(size))


@given(st.integers(1, 2**40), st.data())
def test_a_number_depends_only_on_its_place(size: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, size - 1))
    (alone,) = shuffled(np.array([place]), size, 5, 6)
    assert 0 <= alone < size
    assert shuffled(np.array([0, place]), size, 5, 6)[1] == alone


def test_the_order_is_random_and_depends_on_epoch_and_seed() -> None:
    places = np.arange(10_000)
    orders = [shuffled(places, 10_000, seed, epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    for order in [*orders, orders[0] - orders[1], orders[0] - orders[2]]:
        assert abs(np.corrcoef(places, order)[0, 1]) < 0.05
    assert abs(np.corrcoef(orders[0][1:], orders[0][:-1])[0, 1]) < 0.05
    assert np.array_equal(orders[0], shuffled(places, 10_000, 0, 0))


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(CorpusError, match="at least 9 symbols for a window of 8, got 8") as caught:
        Windows(corpus(8), length=8, stride=1, batch=1)
    assert caught.value.hint


@pytest.mark.parametrize("wrong", ["length", "stride", "batch"])
def test_sizes_below_one_are_refused(wrong: str) -> None:
    with pytest.raises(RecipeError, match=f"{wrong}=0"):
        Windows(corpus(8), **{"length": 2, "stride": 1, "batch": 1, wrong: 0})
