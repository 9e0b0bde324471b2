"""The simple recurrent network of Elman (1990)."""

import math
from typing import Literal

from torch import nn

from onward.layers.base import Layer, largest_recurrent_output, zeros_like_weights
from onward.layers.state import State
from onward.shapes import Output, Sequence

Activation = Literal["tanh", "relu"]
Initialisation = Literal["uniform", "identity"]


class SimpleRNN(Layer):
    """h_t = f(W_x x_t + b_x + W_h h_{t-1} + b_h), y_t = h_t.

    Matches `torch.nn.RNN` and runs on its fused kernel. State: (h (B, D),).

    Args:
        activation: f, "tanh" or "relu".
        initialisation: "uniform" in ±1/sqrt(D) as in torch, or "identity": W_h = I, W_x by Glorot, biases 0.
            With the identity and ReLU, an untrained network keeps its state (arXiv 1504.00941).
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        *,
        activation: Activation = "tanh",
        initialisation: Initialisation = "uniform",
    ) -> None:
        super().__init__()
        self.width_in, self.width_out = width_in, width
        self.rnn = nn.RNN(width_in, width, nonlinearity=activation)
        if initialisation == "identity":
            weights = dict(self.rnn.named_parameters())
            nn.init.eye_(weights["weight_hh_l0"])
            nn.init.xavier_uniform_(weights["weight_ih_l0"])
            nn.init.zeros_(weights["bias_ih_l0"])
            nn.init.zeros_(weights["bias_hh_l0"])

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        (h,) = state  # (B, D)
        y, last = self.rnn(x, h[None].to(x.dtype))  # (T, B, D), (1, B, D)
        return y, (last[0].to(h.dtype),)

    def initial_state(self, lanes: int) -> State:
        return (zeros_like_weights(self, lanes, self.width_out),)

    def largest_output(self, largest_input: float) -> float:
        if self.rnn.nonlinearity == "relu":  # the state may grow with each position
            return math.inf
        return largest_recurrent_output(self.rnn, largest_input)
