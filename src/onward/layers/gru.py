"""The gated recurrent unit (GRU)."""

from torch import nn

from onward.layers.base import Layer, largest_recurrent_output, zeros_like_weights
from onward.layers.state import State
from onward.shapes import Output, Sequence


class GRU(Layer):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the matrix product, as in cuDNN.

        r, z = sigmoid(W x_t + U h_{t-1} + b)      n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + c_n))
        h_t = (1 - z) * n + z * h_{t-1},           y_t = h_t       (z = 1 keeps the old state)

    Matches `torch.nn.GRU` (gate order r z n) and runs on its fused kernel. State: (h (B, D),).
    """

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.width_in, self.width_out = width_in, width
        self.rnn = nn.GRU(width_in, width)

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        (h,) = state  # (B, D)
        y, last = self.rnn(x, h[None].to(x.dtype))  # (T, B, D), (1, B, D)
        return y, (last[0].to(h.dtype),)

    def initial_state(self, lanes: int) -> State:
        return (zeros_like_weights(self, lanes, self.width_out),)

    def largest_output(self, largest_input: float) -> float:
        return largest_recurrent_output(self.rnn, largest_input)
