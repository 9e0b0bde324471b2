"""The gated linear recurrence, onward's default layer, and the gated feed-forward layer that goes with it."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from onward.layers import kernels
from onward.layers.base import Layer, zeros_like_weights
from onward.layers.linear import Linear
from onward.layers.state import State
from onward.shapes import Sequence


class GatedLinear(Layer):
    """A recurrence whose gates look at the input only, so that a block is a few large products and one scan.

        u_t = sum_k c_k * x_{t-k},  k = 0 ... K-1       short causal convolution, one kernel c a feature
        z_t = sigmoid(W_z u_t + b_z)                    how much of the new value is taken
        h_t = (1 - z_t) * h_{t-1} + z_t * (W_h u_t)     the state, E features
        y_t = W_y (h_t * silu(W_g u_t))

    The recurrence is that of minGRU (arXiv 2410.01201), the convolution and the output gate those of
    Griffin (arXiv 2402.19427). State: (h (B, E), the last K - 1 inputs (B, K - 1, D)).

    Args:
        width: D, features in and out.
        inner: E, features of the state.
        convolution: K, positions the convolution sees; 1 sees the present one only.
        longest_memory: the biases of the gates are spread so that the memories of a new layer reach from
            2 to about this many steps.
    """

    def __init__(
        self, width: int, inner: int, *, convolution: int = 4, longest_memory: float = 150.0
    ) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.inner = inner
        self.convolution = nn.Parameter(torch.zeros(convolution, width))
        self.project = Linear(width, 3 * inner)  # z, h, g
        self.readout = Linear(inner, width, bias=False)
        with torch.no_grad():
            self.convolution[0] = 1.0  # starts as the identity
            self.project.bias.zero_()
            slowest = math.log(longest_memory - 1.0)  # sigmoid(-slowest) = 1 / longest_memory
            # NumPy's: to multiply on the meta device, torch would import its compiler (half a second)
            spread = np.arange(inner, dtype=np.float32) * np.float32(-slowest / inner)
            self.project.bias[:inner] = torch.from_numpy(spread)

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        """Shapes as in `Layer.forward`."""
        h, tail = state
        u = kernels.causal_convolution(x, tail, self.convolution)
        y, h = kernels.gated_scan(self.project(u), h)
        return self.readout(y), (h, _last(tail, x))

    def initial_state(self, lanes: int) -> State:
        """Zeros: h (B, E) and the inputs before the first (B, K - 1, D)."""
        before = self.convolution.shape[0] - 1
        tail = zeros_like_weights(self, lanes, before, self.width_in)
        return zeros_like_weights(self, lanes, self.inner), tail


def _last(tail: Tensor, x: Sequence) -> Tensor:
    """The last K - 1 positions of a stream, (B, K - 1, D), of which x (T, B, D) is the newest part."""
    before = tail.shape[1]
    newest = x[max(0, x.shape[0] - before) :].transpose(0, 1).to(tail.dtype)
    return torch.cat([tail[:, newest.shape[1] :], newest], dim=1)


class GatedFeedForward(Layer):
    """y = W_y (silu(W_a x) * (W_b x)), the SwiGLU of arXiv 2002.05202. Carries nothing."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.project = Linear(width, 2 * inner, bias=False)  # a, b
        self.readout = Linear(inner, width, bias=False)

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        """Shapes as in `Layer.forward`."""
        return self.readout(kernels.gated_unit(self.project(x))), state

    def initial_state(self, lanes: int) -> State:
        """Nothing."""
        return ()
