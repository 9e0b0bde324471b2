"""Batch normalisation, which the lesson used before its LSTM. onward's own models do not use it."""

import math

from torch import nn

from onward.layers.base import Layer, bounded, largest_element
from onward.layers.state import State
from onward.shapes import Sequence


class BatchNorm(Layer):
    """Normalises each of the D values over the T * B positions of a block.

    Matches `torch.nn.BatchNorm1d` over rows of (T * B, D). In training the statistics are those of the block,
    so lanes depend on each other. In evaluation they are running averages, and lanes are independent. The
    running averages are saved with the weights; they are not part of the state.
    """

    def __init__(self, width: int, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.norm = nn.BatchNorm1d(width, eps=epsilon, momentum=momentum)

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        norm, rows = self.norm, x.flatten(0, 1)  # (T * B, D)
        if self.training and rows.shape[0] > 1:  # a single position has no statistics
            return norm(rows).view_as(x), state
        y = nn.functional.batch_norm(
            rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        return y.view_as(x), state

    def initial_state(self, lanes: int) -> State:
        return ()

    def largest_output(self, largest_input: float) -> float:
        norm = self.norm
        assert norm.running_mean is not None
        scale = largest_element(norm.weight) / math.sqrt(norm.eps)
        return bounded(
            (largest_input + largest_element(norm.running_mean)) * scale + largest_element(norm.bias)
        )
