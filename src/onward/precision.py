"""Which precision matrix products are quicker in: measured, since not every processor gains by bfloat16."""

import time
from functools import cache
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]
"""Of matrix products; weights, states and sums are float32 in either."""

_ROWS, _WIDTH, _TURNS = 4096, 512, 3
_WORTH_IT = 0.8
"""Share of the seconds in float32 that bfloat16 may take; nearer to one the three digits are not worth it."""


def quick_precision(device: torch.device) -> Precision:
    """`bf16` on a GPU, and on a processor that multiplies matrices in it at least a quarter faster."""
    return "bf16" if device.type == "cuda" else _measured()


def in_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """Within it matrix products are in that precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@cache
def _measured() -> Precision:
    """Both take turns, a tenth of a second in all; the least time of each counts."""
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
