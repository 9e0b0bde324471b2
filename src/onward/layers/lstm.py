"""Long short-term memory (LSTM)."""

from torch import nn

from onward.layers.base import Layer, largest_recurrent_output, zeros_like_weights
from onward.layers.state import State
from onward.shapes import Output, Sequence


class LSTM(Layer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

        i, f, o = sigmoid(W x_t + U h_{t-1} + b)   g = tanh(W_g x_t + U_g h_{t-1} + b_g)
        c_t = f * c_{t-1} + i * g                  h_t = o * tanh(c_t),  y_t = h_t

    Matches `torch.nn.LSTM` (gate order i f g o) and runs on its fused kernel. State: (h (B, D), c (B, D)).

    Args:
        forget_bias: initial bias of the forget gate. A positive bias makes a new network keep its state
            (Jozefowicz et al. 2015). In torch the initial bias is about 0.
    """

    def __init__(self, width_in: int, width: int, *, forget_bias: float = 1.0) -> None:
        super().__init__()
        self.width_in, self.width_out = width_in, width
        self.rnn = nn.LSTM(width_in, width)
        biases = dict(self.rnn.named_parameters())
        nn.init.constant_(biases["bias_ih_l0"][width : 2 * width], forget_bias)
        nn.init.zeros_(biases["bias_hh_l0"][width : 2 * width])

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        h, c = state  # (B, D) each
        y, (h_last, c_last) = self.rnn(x, (h[None].to(x.dtype), c[None].to(x.dtype)))
        return y, (h_last[0].to(h.dtype), c_last[0].to(c.dtype))

    def initial_state(self, lanes: int) -> State:
        zeros = zeros_like_weights(self, lanes, self.width_out)
        return zeros, zeros

    def largest_output(self, largest_input: float) -> float:
        return largest_recurrent_output(self.rnn, largest_input)
