"""Launches the Triton kernels of triton_kernels.py on a GPU, for tensors in float32 and bfloat16.

Experimental: these kernels have run only in Triton's interpreter on the CPU (TRITON_INTERPRET=1), on no GPU.
So they are off unless ONWARD_TRITON=1 is set in the environment; by default, a GPU uses the plain PyTorch of
`reference`. Triton comes with the CUDA builds of PyTorch.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

kernels: Any = None
_can_run = torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1"
if _can_run and os.environ.get("ONWARD_TRITON") == "1":
    with suppress(ImportError):
        from onward.layers.kernels import triton_kernels as kernels

available = kernels is not None
"""Whether Triton was requested, is installed, and has a device to run on."""

PARTS = 256
"""Number of row ranges for which a kernel returns partial sums."""

FEATURES, ROWS, ELEMENTS = 64, 32, 1024
"""Maximum number of features, rows or elements that one program computes."""


def call(name: str, activations: torch.dtype, *arguments: int | float | Tensor) -> None:
    """Launches a kernel with the arguments of the C kernel. Triton reads the types from the tensors."""
    _LAUNCHES[name](*arguments)


def _blocks(size: int, block: int) -> int:
    return -(-size // block)


def _power_of_two(size: int) -> int:
    """Returns the smallest power of two that is at least `size`."""
    return 1 << (size - 1).bit_length()


def _over_lanes(kernel: Any) -> Callable[..., None]:
    """Returns a launcher with one program for each lane and block of features."""

    def launch(T: int, B: int, E: int, *arrays: Tensor) -> None:
        kernel[(B, _blocks(E, FEATURES))](T, B, E, *arrays, FEATURES=FEATURES)

    return launch


def _over_elements(kernel: Any) -> Callable[..., None]:
    """Returns a launcher with one program for each block of the elements of (N, F)."""

    def launch(N: int, F: int, *arrays: Tensor) -> None:
        kernel[(_blocks(N * F, ELEMENTS),)](N, F, *arrays, ELEMENTS=ELEMENTS)

    return launch


def _rms_forward(N: int, D: int, *rest: Any) -> None:
    kernels.rms_norm_forward[(N,)](N, D, *rest, WIDTH=_power_of_two(D))


def _rms_backward(N: int, D: int, parts: int, *arrays: Tensor) -> None:
    kernels.rms_norm_backward[(parts,)](N, D, parts, *arrays, WIDTH=_power_of_two(D))


def _convolution_forward(T: int, B: int, D: int, K: int, *arrays: Tensor) -> None:
    grid = (T * B, _blocks(D, FEATURES))
    kernels.causal_convolution_forward[grid](T, B, D, *arrays, K=K, FEATURES=FEATURES)


def _convolution_backward(
    T: int, B: int, D: int, K: int, parts: int, x: Tensor, tail: Tensor, kernel: Tensor, dy: Tensor,
    dx: Tensor, dtail: Tensor, partial: Tensor,
) -> None:  # fmt: skip
    blocks = _blocks(D, FEATURES)
    kernels.causal_convolution_backward_x[((T + K - 1) * B, blocks)](
        T, B, D, kernel, dy, dx, dtail, K=K, FEATURES=FEATURES
    )
    kernels.causal_convolution_backward_kernel[(K, blocks, parts)](
        T, B, D, parts, x, tail, dy, partial, K=K, FEATURES=FEATURES, ROWS=ROWS
    )


def _dropped_forward(N: int, *rest: Any) -> None:
    kernels.add_dropped[(_blocks(N, ELEMENTS),)](N, *rest, ADDS=True, ELEMENTS=ELEMENTS)


def _dropped_backward(N: int, threshold: int, seed: int, scale: float, dy: Tensor, dbranch: Tensor) -> None:
    grid = (_blocks(N, ELEMENTS),)
    kernels.add_dropped[grid](N, threshold, seed, scale, dy, dy, dbranch, ADDS=False, ELEMENTS=ELEMENTS)


def _launches() -> dict[str, Callable[..., None]]:
    """Returns the launcher of each kernel."""
    return {
        "gated_scan_forward": _over_lanes(kernels.gated_scan_forward),
        "gated_scan_backward": _over_lanes(kernels.gated_scan_backward),
        "gated_unit_forward": _over_elements(kernels.gated_unit_forward),
        "gated_unit_backward": _over_elements(kernels.gated_unit_backward),
        "rms_norm_forward": _rms_forward,
        "rms_norm_backward": _rms_backward,
        "causal_convolution_forward": _convolution_forward,
        "causal_convolution_backward": _convolution_backward,
        "add_dropped_forward": _dropped_forward,
        "add_dropped_backward": _dropped_backward,
    }


_LAUNCHES = _launches() if available else {}
