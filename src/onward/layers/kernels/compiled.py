"""What is compiled: kernels (kernels.c), steps (step.c) and drawing (draw.c), for the CPU.

The library is compiled when onward is installed, where there is a C compiler; without it `available` is
False and the reference is used. It was chosen over numba because it starts in no time, needs no second
array library at run time, and shares the thread pool of torch (both are linked to the one libgomp).
"""

import ctypes
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

ACTIVATIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""The types of activation that the kernels take, and how their names end."""
PARTS = 16
"""Ranges of rows whose sums `rms_norm_backward` gives, whatever the number of threads."""


def _load() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built or cannot be loaded here."""
    found = find_spec("onward.layers.kernels._kernels")
    if found is None or found.origin is None:
        return None
    try:
        library = ctypes.CDLL(found.origin)
    except OSError:
        return None
    size, pointer, number = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
    library.onward_step.argtypes = (size, pointer, size, pointer, size)
    library.onward_draw.argtypes = (size, size, pointer, pointer, number, size, number, number, pointer, pointer)
    return library


_library = _load()
available = _library is not None
has_dot = _library is not None and bool(_library.onward_has_dot())
"""Whether int8 weights are multiplied four at a time here (AVX-512 VNNI), rather than widened first."""


def call(name: str, activations: torch.dtype, *arguments: int | float | Tensor) -> None:
    """Calls a kernel: whole numbers are passed as int64, fractions as float, tensors as pointers."""
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


def step(operations: Any, ids: np.ndarray, symbols: int) -> bool:
    """Runs the operations of a step (inference/program.py) for the ids (B,), contiguous in int64.

    Returns:
        Whether all ids were below `symbols`; otherwise nothing was done.
    """
    library: Any = _library
    return not library.onward_step(len(operations), operations, len(ids), _address(ids), symbols)


def draw(
    logits: np.ndarray,
    chances: np.ndarray,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
) -> np.ndarray | None:
    """What `Sampling.draw` gives for logits (B, V), contiguous in float32, and chances (B,).

    Returns:
        One symbol a lane, (B,); None if the logits are not finite numbers.
    """
    library: Any = _library
    lanes, symbols = logits.shape
    drawn, weights = np.empty(lanes, np.int64), np.empty(symbols, np.float32)
    failed = library.onward_draw(
        lanes, symbols, _address(logits), _address(chances), temperature,
        symbols if top_k is None else top_k, 1.0 if top_p is None else top_p, min_p or 0.0,
        _address(weights), _address(drawn),
    )  # fmt: skip
    return None if failed else drawn


def _address(array: np.ndarray) -> int:
    """Of the first number; in half the time that `array.ctypes` takes."""
    return array.__array_interface__["data"][0]
