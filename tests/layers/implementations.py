"""The implementations of the kernels, and inputs for each kernel."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from onward.layers import kernels
from onward.layers.kernels import compiled, functions, reference, triton_backend

SIZES = [(1, 1, 1), (1, 3, 5), (7, 3, 37), (130, 2, 64), (33, 1, 200)]
"""(T, B, D): ones, odd numbers, and widths around the C kernels' chunk of 64."""


@dataclass(frozen=True)
class Implementation:
    """One implementation of the kernels.

    Attributes:
        functions: has a function for each name in `reference`.
        bfloat16: tolerance in bfloat16: a share of each value, and a share of the largest value. It is 2**-8
            of each value if only results are rounded, more if intermediate values are rounded too.
        present: whether it can run on this machine.
    """

    functions: Any
    bfloat16: tuple[float, float]
    present: bool = True


IN_C = SimpleNamespace(
    gated_scan=functions.GatedScan.apply,
    gated_unit=functions.GatedUnit.apply,
    rms_norm=functions.RMSNormFunction.apply,
    causal_convolution=functions.CausalConvolution.apply,
    add_dropped=functions.AddDropped.apply,
)


def on_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function run on the GPU, with copies of its tensors; without a GPU, in Triton's interpreter."""

    def call(*inputs: Any) -> Any:
        if not torch.cuda.is_available():
            return function(*inputs)
        found = function(*(x.cuda() if isinstance(x, Tensor) else x for x in inputs))
        return tuple(y.cpu() for y in found) if isinstance(found, tuple) else found.cpu()

    return call


IN_TRITON = SimpleNamespace(**{name: on_gpu(function) for name, function in vars(IN_C).items()})


IMPLEMENTATIONS = {
    "reference": Implementation(reference, (0.0, 1.6e-2)),
    "compiled": Implementation(IN_C, (2**-8, 1e-5), compiled.available),
    # Triton's interpreter truncates where a GPU rounds
    "triton": Implementation(
        IN_TRITON, (2**-8 if torch.cuda.is_available() else 2**-7, 1e-5), triton_backend.available
    ),
    "chosen": Implementation(kernels, (2**-8, 1e-5) if compiled.available else (0.0, 1.6e-2)),
}


every_implementation = pytest.mark.parametrize(
    "implementation",
    [
        pytest.param(
            one, id=name, marks=pytest.mark.skipif(not one.present, reason=f"no {name} kernels here")
        )
        for name, one in IMPLEMENTATIONS.items()
    ],
)


compiled_only = pytest.mark.skipif(not compiled.available, reason="the C kernels were not built here")


def tolerance(implementation: Implementation, dtype: torch.dtype) -> tuple[float, float]:
    """Returns the tolerance as a share of each value and a share of the largest value."""
    return implementation.bfloat16 if dtype == torch.bfloat16 else (0.0, 2e-6)


def activations(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape).to(dtype)


Maker = Callable[[int, int, int, torch.dtype], list[Any]]


KERNELS: dict[str, tuple[str, Maker]] = {
    "gated_scan": (
        "gated_scan",
        lambda t, b, d, dtype: [activations(t, b, 3 * d, dtype=dtype), torch.randn(b, d)],
    ),
    "gated_unit": ("gated_unit", lambda t, b, d, dtype: [activations(t, b, 2 * d, dtype=dtype)]),
    "rms_norm": (
        "rms_norm",
        lambda t, b, d, dtype: [torch.randn(t, b, d), torch.randn(d), 1e-6, dtype],
    ),
    "causal_convolution": (
        "causal_convolution",
        lambda t, b, d, dtype: [activations(t, b, d, dtype=dtype), torch.randn(b, 3, d), torch.randn(4, d)],
    ),
    "causal_convolution of one tap": (
        "causal_convolution",
        lambda t, b, d, dtype: [activations(t, b, d, dtype=dtype), torch.randn(b, 0, d), torch.randn(1, d)],
    ),
    "add_dropped": (
        "add_dropped",
        lambda t, b, d, dtype: [torch.randn(t, b, d), activations(t, b, d, dtype=dtype), 0.3, 2**32 - 5],
    ),
    "add_dropped without dropout": (
        "add_dropped",
        lambda t, b, d, dtype: [torch.randn(t, b, d), activations(t, b, d, dtype=dtype), 0.0, 0],
    ),
}


every_kernel = pytest.mark.parametrize("name", KERNELS)
