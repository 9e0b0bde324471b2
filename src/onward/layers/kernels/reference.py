"""The kernels in plain PyTorch: what every other implementation must equal, values and gradients."""

import torch
from jaxtyping import Float
from torch import Tensor

from onward.shapes import LaneVector, Sequence


def gated_scan(zvg: Float[Tensor, "time lanes three_width"], h: LaneVector) -> tuple[Sequence, LaneVector]:
    """h_t = h_{t-1} + sigmoid(z_t) (v_t - h_{t-1}), y_t = h_t silu(g_t).

    Args:
        zvg: z, v and g side by side, (T, B, 3 E).
        h: the state before the block, (B, E).

    Returns:
        y (T, B, E) in the type of `zvg`, and the state after the block in that of `h`. In between, the state
        is kept in that of `h`, since rounding it at every step would forget small changes.
    """
    z, v, g = zvg.chunk(3, dim=-1)
    take = torch.sigmoid(z).to(h.dtype)
    keep, new = 1 - take, take * v
    states = []
    for t in range(zvg.shape[0]):
        h = keep[t] * h + new[t]
        states.append(h)
    return torch.stack(states).to(zvg.dtype) * torch.nn.functional.silu(g), h


def causal_convolution(
    x: Sequence, tail: Float[Tensor, "lanes before width"], kernel: Float[Tensor, "taps width"]
) -> tuple[Sequence, Float[Tensor, "lanes before width"]]:
    """y_t = sum_k kernel_k * x_{t-k}: each feature by itself, k = 0 the present.

    Args:
        x: (T, B, D).
        tail: the K - 1 positions before x, oldest first, (B, K - 1, D).
        kernel: (K, D).

    Returns:
        y (T, B, D), and the last K - 1 positions seen.
    """
    steps, before = x.shape[0], tail.shape[1]
    seen = torch.cat([tail.transpose(0, 1).to(x.dtype), x])  # (K - 1 + T, B, D)
    weights = kernel.to(x.dtype)
    y = weights[0] * x
    for k in range(1, before + 1):
        y = y + weights[k] * seen[before - k : before - k + steps]
    return y, seen[steps:].transpose(0, 1).to(tail.dtype)


def gated_unit(ab: Float[Tensor, "time lanes two_width"]) -> Sequence:
    """silu(a) * b, for a and b side by side, (T, B, 2 F) -> (T, B, F)."""
    a, b = ab.chunk(2, dim=-1)
    return torch.nn.functional.silu(a) * b
