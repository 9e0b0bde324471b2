import torch
from torch import nn

from onward.layers.gru import GRU


def test_a_gru_equals_torch() -> None:
    layer, own = GRU(3, 5), nn.GRU(3, 5)
    own.load_state_dict({name.removeprefix("rnn."): value for name, value in layer.state_dict().items()})
    x, h = torch.randn(7, 2, 3), torch.randn(2, 5)
    y, (last,) = layer(x, (h,))
    expected, expected_last = own(x, h[None])
    assert torch.equal(y, expected)
    assert torch.equal(last, expected_last[0])


def test_an_update_gate_of_one_keeps_the_old_state() -> None:
    layer = GRU(3, 5)
    nn.init.constant_(layer.rnn.get_parameter("bias_ih_l0")[5:10], 50.0)  # z
    h = torch.randn(2, 5)
    _, (last,) = layer(torch.randn(20, 2, 3), (h,))
    torch.testing.assert_close(last, h)
