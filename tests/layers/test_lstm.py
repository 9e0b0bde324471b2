import pytest
import torch
from torch import nn

from onward.layers.lstm import LSTM


def test_an_lstm_equals_torch() -> None:
    layer, own = LSTM(3, 5), nn.LSTM(3, 5)
    own.load_state_dict({name.removeprefix("rnn."): value for name, value in layer.state_dict().items()})
    x, h, c = torch.randn(7, 2, 3), torch.randn(2, 5), torch.randn(2, 5)
    y, (h_last, c_last) = layer(x, (h, c))
    expected, (expected_h, expected_c) = own(x, (h[None], c[None]))
    assert torch.equal(y, expected)
    assert torch.equal(h_last, expected_h[0])
    assert torch.equal(c_last, expected_c[0])


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_the_forget_gate_starts_at_its_bias(bias: float) -> None:
    """With all other weights at zero, each step keeps sigmoid(bias) of the cell."""
    layer = LSTM(3, 5, forget_bias=bias)
    for name, weight in layer.named_parameters():
        if "bias" not in name:
            nn.init.zeros_(weight)
    nn.init.zeros_(layer.rnn.get_parameter("bias_ih_l0")[10:15])  # no new value
    nn.init.zeros_(layer.rnn.get_parameter("bias_hh_l0")[10:15])
    c = torch.ones(2, 5)
    _, (_, last) = layer(torch.randn(1, 2, 3), (torch.zeros(2, 5), c))
    torch.testing.assert_close(last, torch.sigmoid(torch.tensor(bias)) * c)
