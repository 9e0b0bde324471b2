"""The linear layer of onward's own layers, by the quicker of the two libraries that torch brings along."""

from typing import Any

import torch
from torch import Tensor, nn


def _found() -> Any:
    """What torch.compile calls for a linear layer on the CPU; private to torch, None if it has changed."""
    try:
        product = torch.ops.mkldnn._linear_pointwise
        one = torch.ones(1, 1, dtype=torch.float32, device="cpu")
        return product if product(one, one, None, "none", [], "").item() == 1 else None
    except (AttributeError, RuntimeError, TypeError):
        return None


_one_dnn = _found()
ROWS = 64
"""From how many rows on oneDNN is quicker in float32 than MKL, torch's default (benchmarks/LOG.md)."""


class Linear(nn.Linear):
    """`torch.nn.Linear`, with its parameters and values; in half the time where no gradient is wanted."""

    def forward(self, input: Tensor) -> Tensor:
        """y = x W^T + b: x (..., D), y (..., E)."""
        if (
            _one_dnn is not None
            and torch.backends.mkldnn.enabled
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and input.device.type == "cpu"
            and input.dtype == self.weight.dtype == torch.float32
            and input.numel() >= ROWS * self.in_features
        ):
            return _one_dnn(input, self.weight, self.bias, "none", [], "")
        return super().forward(input)
