"""A linear layer that uses the faster of torch's two CPU libraries for matrix products."""

from typing import Any

import torch
from torch import Tensor, nn


def find_one_dnn() -> Any:
    """Returns oneDNN's linear layer, which torch.compile uses on the CPU, or None.

    The function is private to torch, so one product tests it first.
    """
    try:
        product = torch.ops.mkldnn._linear_pointwise
        one = torch.ones(1, 1, dtype=torch.float32, device="cpu")
        return product if product(one, one, None, "none", [], "").item() == 1 else None
    except (AttributeError, RuntimeError, TypeError):
        return None


one_dnn = find_one_dnn()
ROWS = 64
"""For this many rows or more, oneDNN is faster in float32 than MKL, torch's default (benchmarks/LOG.md)."""


class Linear(nn.Linear):
    """`torch.nn.Linear` with the same parameters and results, in half the time if no gradient is needed."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns y = x W^T + b, for x (..., D) and y (..., E)."""
        if (
            one_dnn is not None
            and torch.backends.mkldnn.enabled
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and input.device.type == "cpu"
            and input.dtype == self.weight.dtype == torch.float32
            and input.numel() >= ROWS * self.in_features
        ):
            return one_dnn(input, self.weight, self.bias, "none", [], "")
        return super().forward(input)
