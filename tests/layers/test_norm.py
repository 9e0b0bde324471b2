"""Normalisation: torch's own, in training and in use."""

import pytest
import torch
from tests.layers import oracle
from tests.layers.cases import assert_parity, close, scattered, weights_of
from torch import nn

from onward.layers.norm import BatchNorm, RMSNorm


def test_rms_norm_is_torch_s_own() -> None:
    layer, own = scattered(RMSNorm(6)), nn.RMSNorm(6, eps=1e-6)
    own.load_state_dict({"weight": layer.scale})
    x = torch.randn(5, 3, 6)
    torch.testing.assert_close(layer(x, ())[0], own(x))


@pytest.mark.parametrize("value", [0.0, 1e-12, 1e12])
def test_rms_norm_takes_the_smallest_and_the_largest(value: float) -> None:
    x = torch.full((2, 1, 4), value, requires_grad=True)
    y, _ = RMSNorm(4)(x, ())
    y.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()


@pytest.mark.parametrize(("steps", "lanes"), [(2, 1), (1, 2), (7, 3)])
def test_batch_norm_in_training_is_the_oracle(steps: int, lanes: int) -> None:
    layer = scattered(BatchNorm(4)).double()
    other = oracle.BatchNorm(weights_of(layer), training=True)
    assert_parity(layer, other, steps, lanes, torch.float64)


def test_batch_norm_is_torch_s_own_and_its_statistics_run_alike() -> None:
    layer, own = scattered(BatchNorm(4)), nn.BatchNorm1d(4)
    own.load_state_dict({name.removeprefix("norm."): value for name, value in layer.state_dict().items()})
    for _ in range(3):
        x = torch.randn(5, 2, 4) * 3 + 1
        close(layer(x, ())[0], own(x.flatten(0, 1)).view_as(x), 1e-6)
    close(layer.norm.running_mean, own.running_mean, 1e-6)
    close(layer.norm.running_var, own.running_var, 1e-6)
    x = torch.randn(5, 2, 4)
    close(layer.eval()(x, ())[0], own.eval()(x.flatten(0, 1)).view_as(x), 1e-6)


def test_one_position_has_no_statistics_and_takes_the_running_ones() -> None:
    layer = scattered(BatchNorm(4))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(1, 1, 4)
    trained, used = layer.train()(x, ())[0], layer.eval()(x, ())[0]
    assert torch.equal(trained, used)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_use_leaves_the_statistics_alone() -> None:
    layer = scattered(BatchNorm(4)).eval()
    before = layer.norm.running_mean.clone()
    layer(torch.randn(5, 2, 4), ())
    assert torch.equal(layer.norm.running_mean, before)
