"""The faster precision for matrix products, measured: not every processor is faster in bfloat16."""

import time
from functools import cache
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]
"""Precision of matrix products; weights, states and sums are in float32 in both cases."""

_ROWS, _WIDTH, _TURNS = 4096, 512, 3
_WORTH_IT = 0.8
"""bfloat16 must take at most this share of the time of float32 to be worth its lower accuracy."""


def quick_precision(device: torch.device) -> Precision:
    """Returns `bf16` on a GPU and on processors that multiply matrices in it at least a quarter faster."""
    return "bf16" if device.type == "cuda" else measured_precision()


def in_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """Returns a context in which matrix products have that precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@cache
def measured_precision() -> Precision:
    """Returns the faster precision on this processor, measured once in a process.

    Both precisions take turns, for a tenth of a second; the shortest time of each counts.
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
    return "bf16" if least[torch.bfloat16] < _WORTH_IT * least[torch.float32] else "fp32"
