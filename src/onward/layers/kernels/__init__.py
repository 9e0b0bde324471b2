"""The elementwise kernels of onward's layers: one interface, with one file for each implementation.

`reference` defines each kernel in PyTorch, for every device and type. `compiled` computes it in C on the
CPU, `triton_backend` in Triton on a GPU, and `functions` makes both differentiable. A call uses C on the CPU
for float32 and bfloat16, Triton on a GPU if ONWARD_TRITON=1 is set, and otherwise the reference.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from onward.layers.kernels import functions, reference
from onward.shapes import LaneVector, Sequence

__all__ = ["add_dropped", "causal_convolution", "gated_scan", "gated_unit", "rms_norm"]


def gated_scan(zvg: Float[Tensor, "time lanes three_width"], h: LaneVector) -> tuple[Sequence, LaneVector]:
    """See `reference.gated_scan`."""
    if h.dtype == torch.float32 and functions.supports(zvg, h):
        return functions.GatedScan.apply(zvg, h)
    return reference.gated_scan(zvg, h)


def causal_convolution(
    x: Sequence, tail: Float[Tensor, "lanes before width"], kernel: Float[Tensor, "taps width"]
) -> Sequence:
    """See `reference.causal_convolution`."""
    if tail.dtype == kernel.dtype == torch.float32 and functions.supports(x, tail, kernel):
        return functions.CausalConvolution.apply(x, tail, kernel)
    return reference.causal_convolution(x, tail, kernel)


def gated_unit(ab: Float[Tensor, "time lanes two_width"]) -> Sequence:
    """See `reference.gated_unit`."""
    return functions.GatedUnit.apply(ab) if functions.supports(ab) else reference.gated_unit(ab)


def rms_norm(x: Sequence, scale: Float[Tensor, " width"], epsilon: float, result: torch.dtype) -> Sequence:
    """See `reference.rms_norm`."""
    supported = result in functions.ACTIVATIONS and functions.supports(x, scale)
    if supported and x.dtype == scale.dtype == torch.float32:
        return functions.RMSNormFunction.apply(x, scale, epsilon, result)
    return reference.rms_norm(x, scale, epsilon, result)


def add_dropped(x: Sequence, branch: Sequence, probability: float, seed: int) -> Sequence:
    """See `reference.add_dropped`."""
    if x.dtype == torch.float32 and functions.supports(x, branch):
        return functions.AddDropped.apply(x, branch, probability, seed)
    return reference.add_dropped(x, branch, probability, seed)
