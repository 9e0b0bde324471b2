"""The kernels in plain PyTorch. Every other implementation must give the same values and gradients."""

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
        y (T, B, E) in the type of `zvg`, and the state after the block in the type of `h`. The state has the
        type of `h` at every step, because rounding would lose small changes.
    """
    z, v, g = zvg.to(h.dtype).chunk(3, dim=-1)
    take = torch.sigmoid(z)
    keep, new = 1 - take, take * v
    states = []
    for t in range(zvg.shape[0]):
        h = keep[t] * h + new[t]
        states.append(h)
    return (torch.stack(states) * torch.nn.functional.silu(g)).to(zvg.dtype), h


def causal_convolution(
    x: Sequence, tail: Float[Tensor, "lanes before width"], kernel: Float[Tensor, "taps width"]
) -> Sequence:
    """y_t = sum_k kernel_k * x_{t-k}, for each column; k = 0 is the current position.

    Args:
        x: (T, B, D).
        tail: the K - 1 positions before x, oldest first, (B, K - 1, D).
        kernel: (K, D).

    Returns:
        y (T, B, D), in the type of `x`.
    """
    steps, before = x.shape[0], tail.shape[1]
    seen = torch.cat([tail.transpose(0, 1), x.to(tail.dtype)])  # (K - 1 + T, B, D)
    y = kernel[0] * seen[before:]
    for k in range(1, before + 1):
        y = y + kernel[k] * seen[before - k : before - k + steps]
    return y.to(x.dtype)


def gated_unit(ab: Float[Tensor, "time lanes two_width"]) -> Sequence:
    """silu(a) * b, for a and b side by side, (T, B, 2 F) -> (T, B, F)."""
    a, b = ab.chunk(2, dim=-1)
    return torch.nn.functional.silu(a) * b


def rms_norm(x: Sequence, scale: Float[Tensor, " width"], epsilon: float, result: torch.dtype) -> Sequence:
    """x / sqrt(mean(x²) + epsilon) * scale over the values at each position, in the type `result`."""
    return torch.nn.functional.rms_norm(x, scale.shape, scale, epsilon).to(result)


def add_dropped(x: Sequence, branch: Sequence, probability: float, seed: int) -> Sequence:
    """x + dropout(branch), in the type of `x`.

    Element i of the flattened branch is set to zero if hash(i xor seed) / 2**32 < probability; the others are
    scaled by 1 / (1 - probability). The hash is "lowbias32" (C. Wellons, 2018).

    Args:
        x, branch: (T, B, D).
        probability: from 0 (no dropout) to below 1.
        seed: below 2**32.
    """
    if not probability:
        return x + branch
    bits = torch.arange(branch.numel(), device=branch.device) ^ seed
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = ((bits ^ (bits >> shift)) * factor) & 0xFFFFFFFF
    kept = (bits >= int(probability * 2**32)).view_as(branch)
    return x + torch.where(kept, branch / (1 - probability), 0.0).to(x.dtype)
