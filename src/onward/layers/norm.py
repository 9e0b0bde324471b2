"""Normalisation: of each position by itself, or of each feature over a block."""

import torch
from torch import nn

from onward.layers import kernels
from onward.layers.base import Layer
from onward.layers.state import State
from onward.shapes import Sequence


class RMSNorm(Layer):
    """y = x / sqrt(mean(x²) + epsilon) * scale, over the features of one position.

    Matches `torch.nn.RMSNorm` (arXiv 1910.07467). Carries nothing. Under autocast the result has its type,
    since what follows is a matrix product.
    """

    def __init__(self, width: int, *, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.epsilon = epsilon
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        """Shapes as in `Layer.forward`."""
        device = x.device.type
        result = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        return kernels.rms_norm(x, self.scale, self.epsilon, result), state

    def initial_state(self, lanes: int) -> State:
        """Nothing."""
        return ()


class BatchNorm(Layer):
    """Each feature normalised over the T * B positions of a block, as the lesson did before its LSTM.

    Matches `torch.nn.BatchNorm1d` over rows of (T * B, D). In training the statistics are those of the
    block, so a lane sees the others; in evaluation they are the running ones, and lanes are independent.
    The running statistics belong to the weights, not to the state.
    """

    def __init__(self, width: int, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.norm = nn.BatchNorm1d(width, eps=epsilon, momentum=momentum)

    def forward(self, x: Sequence, state: State) -> tuple[Sequence, State]:
        """Shapes as in `Layer.forward`. One position in one lane has no statistics."""
        norm, rows = self.norm, x.flatten(0, 1)  # (T * B, D)
        if self.training and rows.shape[0] > 1:
            return norm(rows).view_as(x), state
        y = nn.functional.batch_norm(
            rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        return y.view_as(x), state

    def initial_state(self, lanes: int) -> State:
        """Nothing."""
        return ()
