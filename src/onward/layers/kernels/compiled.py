"""What is compiled: kernels (kernels.c) and steps (step.c), for tensors on the CPU in float32 and bfloat16.

The library is compiled when onward is installed, where there is a C compiler; without it `available` is
False and the reference is used. It was chosen over numba because it starts in no time, needs no second
array library at run time, and shares the thread pool of torch (both are linked to the one libgomp).
"""

# pyright: reportIncompatibleMethodOverride=false
# (torch declares forward and backward of a Function without their arguments)

import ctypes
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Context = Any
ACTIVATIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""The types of activation that the kernels take, and how their names end."""
PARTS = 16
"""Ranges of rows whose sums are added in order, whatever the number of threads."""


def _load() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built or cannot be loaded here."""
    found = find_spec("onward.layers.kernels._kernels")
    if found is None or found.origin is None:
        return None
    try:
        library = ctypes.CDLL(found.origin)
    except OSError:
        return None
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    library.onward_step.argtypes = (size, pointer, size, pointer, size)
    library.onward_step.restype = ctypes.c_int
    return library


_library = _load()
available = _library is not None


def supports(*tensors: Tensor) -> bool:
    """Whether these kernels can take the tensors: on the CPU, in float32 or bfloat16."""
    return available and all(x.device.type == "cpu" and x.dtype in ACTIVATIONS for x in tensors)


def step(operations: Any, ids: np.ndarray, symbols: int) -> bool:
    """Runs the operations of a step (inference/stepper.py) for the ids (B,), contiguous in int64.

    Returns:
        Whether all ids were below `symbols`; otherwise nothing was done.
    """
    library: Any = _library
    return not library.onward_step(len(operations), operations, len(ids), ids.ctypes.data, symbols)


def _call(name: str, activations: torch.dtype, *arguments: int | float | Tensor) -> None:
    """Calls the kernel of that name: whole numbers as int64, fractions as float, tensors as pointers."""
    function = getattr(_library, f"{name}_{ACTIVATIONS[activations]}")
    function(
        *(
            ctypes.c_void_p(x.data_ptr())
            if isinstance(x, Tensor)
            else ctypes.c_int64(x)
            if isinstance(x, int)
            else ctypes.c_float(x)
            for x in arguments
        )
    )


def _expect(name: str, x: Tensor, *shape: int) -> None:
    """Refuses a tensor of another shape: the kernels would read beyond its end.

    Raises:
        ValueError: with the shape expected and the shape found.
    """
    if x.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {tuple(x.shape)}")


class GatedScan(torch.autograd.Function):
    """`reference.gated_scan`."""

    @staticmethod
    def forward(ctx: Context, zvg: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
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
    def backward(ctx: Context, dy: Tensor, dlast: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        zvg, h, states = ctx.saved_tensors
        dzvg, dh = torch.empty_like(zvg), dlast.contiguous().clone()
        sizes = states.shape
        _call("gated_scan_backward", zvg.dtype, *sizes, zvg, h, states, dy.contiguous(), dzvg, dh)
        return dzvg, dh


class GatedUnit(torch.autograd.Function):
    """`reference.gated_unit`."""

    @staticmethod
    def forward(ctx: Context, ab: Tensor) -> Tensor:  # noqa: D102
        _expect("ab", ab, *ab.shape[:2], ab.shape[2] // 2 * 2)
        ab = ab.contiguous()
        y = ab.new_empty(*ab.shape[:-1], ab.shape[-1] // 2)
        _call("gated_unit_forward", ab.dtype, ab.shape[0] * ab.shape[1], y.shape[-1], ab, y)
        ctx.save_for_backward(ab)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> Tensor:  # noqa: D102
        (ab,) = ctx.saved_tensors
        dab = torch.empty_like(ab)
        rows = ab.shape[0] * ab.shape[1]
        _call("gated_unit_backward", ab.dtype, rows, dy.shape[-1], ab, dy.contiguous(), dab)
        return dab


class RMSNorm(torch.autograd.Function):
    """`reference.rms_norm`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, scale: Tensor, epsilon: float, result: torch.dtype) -> Tensor:  # noqa: D102
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
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: D102
        x, scale, inverse = ctx.saved_tensors
        dx, partial = torch.empty_like(x), x.new_empty(PARTS, x.shape[2])
        sizes = inverse.shape[0], x.shape[2], PARTS
        _call("rms_norm_backward", dy.dtype, *sizes, x, scale, inverse, dy.contiguous(), dx, partial)
        return dx, partial.sum(0), None, None


class CausalConvolution(torch.autograd.Function):
    """`reference.causal_convolution`, without the new tail, which is a slice."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, tail: Tensor, kernel: Tensor) -> Tensor:  # noqa: D102
        _expect("kernel", kernel, kernel.shape[0], x.shape[2])
        _expect("tail", tail, x.shape[1], kernel.shape[0] - 1, x.shape[2])
        x, tail, kernel = x.contiguous(), tail.contiguous(), kernel.contiguous()
        y = torch.empty_like(x)
        _call("causal_convolution_forward", x.dtype, *x.shape, kernel.shape[0], x, tail, kernel, y)
        ctx.save_for_backward(x, tail, kernel)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: D102
        x, tail, kernel = ctx.saved_tensors
        sizes = *x.shape, kernel.shape[0]
        gradients = torch.empty_like(x), torch.empty_like(tail), torch.empty_like(kernel)
        _call("causal_convolution_backward", x.dtype, *sizes, x, tail, kernel, dy.contiguous(), *gradients)
        return gradients


class AddDropped(torch.autograd.Function):
    """`reference.add_dropped`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, branch: Tensor, probability: float, seed: int) -> Tensor:  # noqa: D102
        _expect("branch", branch, *x.shape)
        x, branch = x.contiguous(), branch.contiguous()
        y = torch.empty_like(x)
        ctx.mask = int(probability * 2**32), seed, 1.0 / (1.0 - probability)
        ctx.dtype = branch.dtype
        _call("add_dropped_forward", branch.dtype, x.numel(), *ctx.mask, x, branch, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: D102
        dy = dy.contiguous()
        dbranch = torch.empty_like(dy, dtype=ctx.dtype)
        _call("add_dropped_backward", ctx.dtype, dy.numel(), *ctx.mask, dy, dbranch)
        return dy, dbranch, None, None
