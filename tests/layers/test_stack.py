from collections.abc import Callable

import pytest
import torch

from onward.layers.base import Layer
from onward.layers.gru import GRU
from onward.layers.lstm import LSTM
from onward.layers.norm import RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack


def test_a_stack_needs_a_layer() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        Stack([])


def test_the_widths_of_neighbours_must_match() -> None:
    with pytest.raises(
        ValueError, match="GRU expects an input of width 5, but LSTM below it returns width 4"
    ):
        Stack([LSTM(3, 4), GRU(5, 6)])


def test_a_residual_branch_keeps_the_width() -> None:
    with pytest.raises(ValueError, match="keeps the width, got 3 -> 4"):
        Residual(SimpleRNN(3, 4))


def test_a_stack_is_a_layer() -> None:
    """Nested stacks give the same as one flat stack."""
    torch.manual_seed(0)
    first, second, third = LSTM(3, 4), RMSNorm(4), GRU(4, 5)
    flat, nested = Stack([first, second, third]), Stack([first, Stack([second, third])])
    assert (nested.width_in, nested.width_out) == (flat.width_in, flat.width_out) == (3, 5)
    x = torch.randn(6, 2, 3)
    y, (a, b, c) = flat(x, flat.initial_state(2))
    z, (d, (e, f)) = nested(x, nested.initial_state(2))
    assert torch.equal(y, z)
    assert torch.equal(a[1], d[1])
    assert torch.equal(c[0], f[0])
    assert b == e == ()


def test_a_state_of_another_stack_is_refused() -> None:
    stack = Stack([LSTM(3, 4), GRU(4, 5)])
    with pytest.raises(ValueError, match="zip"):
        stack(torch.randn(2, 1, 3), stack.initial_state(1)[:1])


def test_dropout_affects_only_the_branch() -> None:
    torch.manual_seed(0)
    layer = Residual(SimpleRNN(50, 50), dropout=0.4)
    x = torch.randn(40, 2, 50)
    plain, _ = layer.eval()(x, layer.initial_state(2))
    dropped, _ = layer.train()(x, layer.initial_state(2))
    branch, kept = plain - x, dropped - x
    gone = kept.abs() < 1e-6
    assert float(gone.float().mean()) == pytest.approx(0.4, abs=0.05)
    torch.testing.assert_close(kept[~gone], branch[~gone] / 0.6, atol=1e-5, rtol=1e-5)


def test_dropout_does_not_affect_the_state() -> None:
    layer = Residual(LSTM(4, 4), norm=RMSNorm(4), dropout=0.5)
    x = torch.randn(6, 2, 4)
    _, trained = layer.train()(x, layer.initial_state(2))
    _, used = layer.eval()(x, layer.initial_state(2))
    assert torch.equal(trained[0], used[0])
    assert torch.equal(trained[1], used[1])


@pytest.mark.parametrize("make", [lambda: Dropout(8, 0.5), lambda: Residual(GRU(8, 8), dropout=0.5)])
def test_dropout_uses_the_generator_of_torch_which_checkpoints_save(make: Callable[[], Layer]) -> None:
    torch.manual_seed(0)
    layer = make().train()
    x = torch.randn(9, 2, 8)
    state, generator = layer.initial_state(2), torch.get_rng_state()
    first, second = layer(x, state)[0], layer(x, state)[0]
    torch.set_rng_state(generator)
    again = layer(x, state)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("make", [lambda: Dropout(8, 0.0), lambda: Residual(GRU(8, 8), dropout=0.0)])
def test_without_dropout_no_random_number_is_drawn(make: Callable[[], Layer]) -> None:
    layer = make().train()
    x, generator = torch.randn(9, 2, 8), torch.get_rng_state()
    layer(x, layer.initial_state(2))
    assert torch.equal(torch.get_rng_state(), generator)
