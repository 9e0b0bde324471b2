"""The kernels as differentiable functions. Each function allocates its results and calls a backend.

There are two backends: `compiled` in C for the CPU, `triton_backend` in Triton for a GPU. Both have the same
kernels with the same names and arguments.
"""

# pyright: reportIncompatibleMethodOverride=false
# (torch declares forward and backward of a Function without arguments)

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from onward.layers.kernels import compiled, triton_backend

Context = Any
ACTIVATIONS = tuple(compiled.ACTIVATIONS)
"""Types of activations that the kernels support."""


def supports(*tensors: Tensor) -> bool:
    """Returns whether a backend supports the tensors: all must be on its device, in float32 or bfloat16."""
    (device, *others) = {x.device for x in tensors}
    here = compiled.available if device.type == "cpu" else triton_backend.available and device.type == "cuda"
    return here and not others and all(x.dtype in ACTIVATIONS for x in tensors)


def _call(name: str, activations: torch.dtype, *arguments: int | float | Tensor) -> None:
    """Calls a kernel of the backend for the device of the last argument, which is always a tensor."""
    array = arguments[-1]
    backend = triton_backend if isinstance(array, Tensor) and array.is_cuda else compiled
    backend.call(name, activations, *arguments)


def _parts(x: Tensor) -> int:
    """Returns the number of row ranges for which a kernel returns partial sums."""
    return triton_backend.PARTS if x.is_cuda else compiled.PARTS


def _expect(name: str, x: Tensor, *shape: int) -> None:
    """Raises ValueError if a tensor has another shape, because a kernel would read beyond its end."""
    if x.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {tuple(x.shape)}")


class GatedScan(torch.autograd.Function):
    """`reference.gated_scan`."""

    @staticmethod
    def forward(ctx: Context, zvg: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        _expect("zvg", zvg, zvg.shape[0], h.shape[0], 3 * h.shape[1])
        zvg, h = zvg.contiguous(), h.contiguous()
        steps, lanes, width = zvg.shape[0], *h.shape
        y = zvg.new_empty(steps, lanes, width)
        states = h.new_empty(steps, lanes, width)
        _call("gated_scan_forward", zvg.dtype, steps, lanes, width, zvg, h, y, states)
        ctx.save_for_backward(zvg, h, states)
        return y, states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor, dlast: Tensor) -> tuple[Tensor, Tensor]:
        zvg, h, states = ctx.saved_tensors
        dzvg, dh = torch.empty_like(zvg), dlast.contiguous().clone()
        sizes = states.shape
        _call("gated_scan_backward", zvg.dtype, *sizes, zvg, h, states, dy.contiguous(), dzvg, dh)
        return dzvg, dh


class GatedUnit(torch.autograd.Function):
    """`reference.gated_unit`."""

    @staticmethod
    def forward(ctx: Context, ab: Tensor) -> Tensor:
        _expect("ab", ab, *ab.shape[:2], ab.shape[2] // 2 * 2)
        ab = ab.contiguous()
        y = ab.new_empty(*ab.shape[:-1], ab.shape[-1] // 2)
        _call("gated_unit_forward", ab.dtype, ab.shape[0] * ab.shape[1], y.shape[-1], ab, y)
        ctx.save_for_backward(ab)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> Tensor:
        (ab,) = ctx.saved_tensors
        dab = torch.empty_like(ab)
        rows = ab.shape[0] * ab.shape[1]
        _call("gated_unit_backward", ab.dtype, rows, dy.shape[-1], ab, dy.contiguous(), dab)
        return dab


class RMSNormFunction(torch.autograd.Function):
    """`reference.rms_norm`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, scale: Tensor, epsilon: float, result: torch.dtype) -> Tensor:
        _expect("scale", scale, x.shape[2])
        x, scale = x.contiguous(), scale.contiguous()
        rows, width = x.shape[0] * x.shape[1], x.shape[2]
        y = x.new_empty(x.shape, dtype=result)
        inverse = x.new_empty(rows)
        _call("rms_norm_forward", result, rows, width, epsilon, x, scale, y, inverse)
        ctx.save_for_backward(x, scale, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, scale, inverse = ctx.saved_tensors
        parts = _parts(x)
        dx, partial = torch.empty_like(x), x.new_empty(parts, x.shape[2])
        sizes = inverse.shape[0], x.shape[2], parts
        _call("rms_norm_backward", dy.dtype, *sizes, x, scale, inverse, dy.contiguous(), dx, partial)
        return dx, partial.sum(0), None, None


class CausalConvolution(torch.autograd.Function):
    """`reference.causal_convolution`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, tail: Tensor, kernel: Tensor) -> Tensor:
        _expect("kernel", kernel, kernel.shape[0], x.shape[2])
        _expect("tail", tail, x.shape[1], kernel.shape[0] - 1, x.shape[2])
        x, tail, kernel = x.contiguous(), tail.contiguous(), kernel.contiguous()
        y = torch.empty_like(x)
        _call("causal_convolution_forward", x.dtype, *x.shape, kernel.shape[0], x, tail, kernel, y)
        ctx.save_for_backward(x, tail, kernel)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, tail, kernel = ctx.saved_tensors
        parts = _parts(x)
        dx, dtail, partial = (
            torch.empty_like(x),
            torch.empty_like(tail),
            kernel.new_empty(parts, *kernel.shape),
        )
        arrays = x, tail, kernel, dy.contiguous(), dx, dtail, partial
        _call("causal_convolution_backward", x.dtype, *x.shape, kernel.shape[0], parts, *arrays)
        return dx, dtail, partial.sum(0)


class AddDropped(torch.autograd.Function):
    """`reference.add_dropped`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, branch: Tensor, probability: float, seed: int) -> Tensor:
        _expect("branch", branch, *x.shape)
        x, branch = x.contiguous(), branch.contiguous()
        y = torch.empty_like(x)
        ctx.mask = int(probability * 2**32), seed, 1.0 / (1.0 - probability)
        ctx.dtype = branch.dtype
        _call("add_dropped_forward", branch.dtype, x.numel(), *ctx.mask, x, branch, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        dy = dy.contiguous()
        dbranch = torch.empty_like(dy, dtype=ctx.dtype)
        _call("add_dropped_backward", ctx.dtype, dy.numel(), *ctx.mask, dy, dbranch)
        return dy, dbranch, None, None
