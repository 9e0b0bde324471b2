"""What is compiled: kernels (kernels.c), steps (step.c) and drawing (draw.c), for the CPU.

The library is compiled when onward is installed, where there is a C compiler; without it `available` is
False and the reference is used. It was chosen over numba because it starts in no time, needs no second
array library at run time, and shares the thread pool of torch (both are linked to the one libgomp).
"""

import ctypes
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

ACTIVATIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""The types of activation that the kernels take, and how their names end."""
PARTS = 16
"""Ranges of rows that the kernels sum over one by one, where they do, whatever the number of threads."""


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
    library.onward_step.argtypes = (pointer,)
    library.onward_write.argtypes = (pointer, pointer, size)
    library.onward_draw.argtypes = (pointer, size, size, *(pointer,) * 4)
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


class Operation(ctypes.Structure):
    """As in step.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("kind", "product", "rows", "columns")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "state", "more", "matrix", "scale", "bias")),
        ("number", ctypes.c_double),
    )


class Step(ctypes.Structure):
    """As in step.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "lanes", "symbols")),
        *((name, ctypes.c_void_p) for name in ("operations", "ids", "logits", "chances", "weights")),
    )


class Shares(ctypes.Structure):
    """As in step.c."""

    _fields_ = (("count", ctypes.c_int64), ("threads", ctypes.c_int64), ("steps", ctypes.c_void_p))


class Drawing(ctypes.Structure):
    """As in draw.h."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("top_p", ctypes.c_double),
        ("min_p", ctypes.c_double),
    )


def step(prepared: Shares) -> bool:
    """Runs the operations of a step (inference/program.py).

    Returns:
        Whether all ids were symbols of the vocabulary; otherwise nothing was done.
    """
    library: Any = _library
    return not library.onward_step(ctypes.addressof(prepared))


def write(prepared: Shares, drawing: Drawing, never: int) -> Literal["", "ids", "logits"]:
    """Runs them, and draws the ids that follow; the first `never` ids are not drawn.

    Returns:
        What was wrong, if anything: the ids as in `step`, or logits that are not finite numbers.
    """
    library: Any = _library
    failed = library.onward_write(ctypes.addressof(prepared), ctypes.addressof(drawing), never)
    return ("", "ids", "logits")[failed]


def draw(logits: np.ndarray, chances: np.ndarray, drawing: Drawing) -> np.ndarray | None:
    """What `Sampling.draw` gives for logits (B, V) in float32 and chances (B,) in float64, both contiguous.

    Returns:
        One symbol a lane, (B,); None if the logits are not finite numbers.
    """
    library: Any = _library
    lanes, symbols = logits.shape
    drawn, weights = np.empty(lanes, np.int64), np.empty(symbols, np.float32)
    arrays = (logits, chances, weights, drawn)
    failed = library.onward_draw(
        ctypes.addressof(drawing), lanes, symbols, *(array.ctypes.data for array in arrays)
    )
    return None if failed else drawn
