"""Products with a weight, by the quicker of the two libraries that torch brings along."""

from typing import Any

import torch
from torch import Tensor

_present = torch.backends.mkldnn.is_available()
_one_dnn: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if _present else None
"""What torch.compile calls for a linear layer on the CPU; private to torch, so it may be absent."""
ROWS = 64
"""From how many rows on oneDNN is quicker in float32 than MKL, torch's default (benchmarks/LOG.md)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b, as `torch.nn.functional.linear`: x (..., D), W (E, D), b (E,), the result (..., E)."""
    if (
        _one_dnn is not None
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() >= ROWS * weight.shape[1]
    ):
        return _one_dnn(x, weight, bias, "none", [], "")
    return torch.nn.functional.linear(x, weight, bias)
