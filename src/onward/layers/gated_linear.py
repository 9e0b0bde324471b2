"""The gated linear recurrence, which is the default layer, and the gated feed-forward layer after it."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from onward.layers import kernels
from onward.layers.base import Layer, bounded, largest_element, largest_product, zeros_like_weights
from onward.layers.linear import Linear
from onward.layers.state import State
from onward.shapes import Sequence


class GatedLinear(Layer):
    """A recurrence whose gates depend only on the input, so a block needs a few large products and one scan.

        u_t = sum_k c_k * x_{t-k},  k = 0 ... K-1       short causal convolution, one kernel c per column of x
        z_t = sigmoid(W_z u_t + b_z)                    update gate, z = 1 takes the new value
        v_t = W_v u_t + b_v                             new value
        h_t = (1 - z_t) * h_{t-1} + z_t * v_t           state, E values
        g_t = W_g u_t + b_g                             output gate
        y_t = W_y (h_t * silu(g_t))

    The recurrence is that of minGRU (arXiv 2410.01201), the convolution and the output gate are those of
    Griffin (arXiv 2402.19427). State: (h (B, E), the last K - 1 inputs (B, K - 1, D)).

    Args:
        width: D, width of input and output.
        inner: E, width of the state.
        convolution: K, number of positions that the convolution covers; 1 covers only the current one.
        longest_memory: the biases of the update gates are spread so that the memory of a new layer ranges
            from 2 steps to about this many.
    """

    def __init__(
        self, width: int, inner: int, *, convolution: int = 4, longest_memory: float = 150.0
    ) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.inner = inner
        self.convolution = nn.Parameter(torch.zeros(convolution, width))
        self.project = Linear(width, 3 * inner)  # z, v, g
        self.readout = Linear(inner, width, bias=False)
        with torch.no_grad():
            self.convolution[0] = 1.0  # starts as the identity
            self.project.bias.zero_()
            slowest = math.log(longest_memory - 1.0)  # sigmoid(-slowest) = 1 / longest_memory
            # with NumPy: a product on the meta device makes torch import its compiler (half a second)
            spread = np.arange(inner, dtype=np.float32) * np.float32(-slowest / inner)
            self.project.bias[:inner] = torch.from_numpy(spread)

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        h, tail = state  # (B, E), (B, K - 1, D)
        u = kernels.causal_convolution(x, tail, self.convolution)  # (T, B, D)
        y, h = kernels.gated_scan(self.project(u), h)  # (T, B, 3 E) -> (T, B, E), (B, E)
        return self.readout(y), (h, _last_inputs(tail, x))

    def initial_state(self, lanes: int) -> State:
        before = self.convolution.shape[0] - 1
        tail = zeros_like_weights(self, lanes, before, self.width_in)
        return zeros_like_weights(self, lanes, self.inner), tail

    def largest_output(self, largest_input: float) -> float:
        u = bounded(len(self.convolution) * largest_element(self.convolution) * largest_input)
        zvg = largest_product(self.project.weight, self.project.bias, u)
        return largest_product(self.readout.weight, None, bounded(zvg * zvg))  # |h| <= |v|, |silu(g)| <= |g|


def _last_inputs(tail: Tensor, x: Sequence) -> Tensor:
    """Returns the last K - 1 inputs, (B, K - 1, D), of a stream that continues `tail` with x (T, B, D)."""
    before = tail.shape[1]
    newest = x[max(0, x.shape[0] - before) :].transpose(0, 1).to(tail.dtype)
    return torch.cat([tail[:, newest.shape[1] :], newest], dim=1)


class GatedFeedForward(Layer):
    """y = W_y (silu(W_a x) * (W_b x)), the SwiGLU of arXiv 2002.05202. Stateless."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.project = Linear(width, 2 * inner, bias=False)  # a, b
        self.readout = Linear(inner, width, bias=False)

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        return self.readout(kernels.gated_unit(self.project(x))), state  # (T, B, 2 E) -> (T, B, E)

    def initial_state(self, lanes: int) -> State:
        return ()

    def largest_output(self, largest_input: float) -> float:
        ab = largest_product(self.project.weight, None, largest_input)
        return largest_product(self.readout.weight, None, bounded(ab * ab))  # |silu(a)| <= |a|
