"""Root-mean-square normalisation."""

import math

import torch
from torch import nn

from onward.layers import kernels
from onward.layers.base import Layer, bounded, largest_element
from onward.layers.state import State
from onward.shapes import Sequence


class RMSNorm(Layer):
    """y = x / sqrt(mean(x²) + epsilon) * scale, over the D values at one position. Stateless.

    Matches `torch.nn.RMSNorm` (arXiv 1910.07467). Under autocast the result has autocast's type, because a
    matrix product follows.
    """

    def __init__(self, width: int, *, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.epsilon = epsilon
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        device = x.device.type
        result = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        return kernels.rms_norm(x, self.scale, self.epsilon, result), state

    def initial_state(self, lanes: int) -> State:
        return ()

    def largest_output(self, largest_input: float) -> float:
        scale = largest_element(self.scale)
        product = bounded(largest_input * scale)  # a compiler may multiply first, and divide then
        return bounded(math.sqrt(self.width_in) * scale) if math.isfinite(product) else math.inf
