"""Measures which precision is faster for matrix products: bfloat16 is not faster on every processor."""

import time
from functools import cache
from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]
"""Precision of matrix products. Weights, states and sums are float32 in both cases."""

_ROWS, _WIDTH, _TURNS = 4096, 512, 3
_LARGEST_SHARE = 0.8
"""bfloat16 is used if it takes at most this share of the time of float32, since it is less accurate."""


def quick_precision(device: torch.device) -> Precision:
    """Returns `bf16` on a GPU and on processors that multiply matrices in it at least a quarter faster."""
    return "bf16" if device.type == "cuda" else measured_precision()


def in_precision(device: torch.device, precision: str) -> torch.autocast:
    """Returns a context in which matrix products are computed in a precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@cache
def measured_precision() -> Precision:
    """Returns the faster precision on this processor, measured once per process.

    The two precisions alternate, for a tenth of a second in all. The shortest time of each counts.
    """
    factors = {
        dtype: (torch.ones(_ROWS, _WIDTH, dtype=dtype), torch.ones(_WIDTH, _WIDTH, dtype=dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }
    least = dict.fromkeys(factors, float("inf"))
    for _ in range(_TURNS):
        for dtype, (x, weight) in factors.items():
            started = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            least[dtype] = min(least[dtype], time.perf_counter() - started)
    return "bf16" if least[torch.bfloat16] < _LARGEST_SHARE * least[torch.float32] else "fp32"
