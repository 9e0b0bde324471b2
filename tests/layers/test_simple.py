import pytest
import torch
from torch import nn

from onward.layers.simple import Activation, SimpleRNN


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_simple_rnn_equals_torch(activation: Activation) -> None:
    layer, own = SimpleRNN(3, 5, activation=activation), nn.RNN(3, 5, nonlinearity=activation)
    own.load_state_dict({name.removeprefix("rnn."): value for name, value in layer.state_dict().items()})
    x, h = torch.randn(7, 2, 3), torch.randn(2, 5)
    y, (last,) = layer(x, (h,))
    expected, expected_last = own(x, h[None])
    assert torch.equal(y, expected)
    assert torch.equal(last, expected_last[0])


def test_with_the_identity_and_relu_an_untrained_network_remembers() -> None:
    layer = SimpleRNN(3, 5, activation="relu", initialisation="identity")
    h = torch.rand(2, 5)
    _, (last,) = layer(torch.zeros(1000, 2, 3), (h,))
    assert torch.equal(last, h)


def test_the_identity_adds_the_input() -> None:
    layer = SimpleRNN(3, 5, activation="relu", initialisation="identity")
    x, h = torch.rand(1, 2, 3), torch.full((2, 5), 10.0)
    _, (last,) = layer(x, (h,))
    added = x[0] @ layer.rnn.get_parameter("weight_ih_l0").T
    assert added.abs().sum() > 0
    torch.testing.assert_close(last, h + added)


def test_without_the_identity_an_untrained_network_forgets() -> None:
    torch.manual_seed(0)
    layer = SimpleRNN(3, 5, activation="relu")
    outcomes = [
        layer(torch.zeros(200, 2, 3), (start,))[1][0] for start in (torch.zeros(2, 5), torch.ones(2, 5))
    ]
    torch.testing.assert_close(outcomes[0], outcomes[1])
