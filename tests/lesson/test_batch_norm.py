import pytest
import torch
from tests.layers import oracle
from tests.layers.cases import assert_parity, close, scattered, weights_of
from torch import nn

from onward.lesson.batch_norm import BatchNorm


@pytest.mark.parametrize(("steps", "lanes"), [(2, 1), (1, 2), (7, 3)])
def test_values_and_gradients_in_training_equal_the_oracle(steps: int, lanes: int) -> None:
    layer = scattered(BatchNorm(4)).double()
    other = oracle.BatchNorm(weights_of(layer), training=True)
    assert_parity(layer, other, steps, lanes, torch.float64)


def test_values_and_running_statistics_equal_torch() -> None:
    layer, own = scattered(BatchNorm(4)), nn.BatchNorm1d(4)
    own.load_state_dict({name.removeprefix("norm."): value for name, value in layer.state_dict().items()})
    for _ in range(3):
        x = torch.randn(5, 2, 4) * 3 + 1
        close(layer(x, ())[0], own(x.flatten(0, 1)).view_as(x), 1e-6)
    close(layer.norm.running_mean, own.running_mean, 1e-6)
    close(layer.norm.running_var, own.running_var, 1e-6)
    x = torch.randn(5, 2, 4)
    close(layer.eval()(x, ())[0], own.eval()(x.flatten(0, 1)).view_as(x), 1e-6)


def test_a_single_position_uses_the_running_statistics() -> None:
    layer = scattered(BatchNorm(4))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(1, 1, 4)
    trained, used = layer.train()(x, ())[0], layer.eval()(x, ())[0]
    assert torch.equal(trained, used)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_evaluation_does_not_change_the_statistics() -> None:
    layer = scattered(BatchNorm(4)).eval()
    before = layer.norm.get_buffer("running_mean").clone()
    layer(torch.randn(5, 2, 4), ())
    assert torch.equal(layer.norm.get_buffer("running_mean"), before)
