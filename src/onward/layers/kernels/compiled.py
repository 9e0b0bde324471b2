"""Calls the compiled C library for the CPU: kernels (kernels.c), steps (step.c) and sampling (draw.c).

The library is compiled when onward is installed, if there is a C compiler. Without it, `available` is False
and PyTorch computes everything. C was chosen over Numba because it loads at once and needs no second array
library. It has its own threads, which sleep between calls (team.c), as many as PyTorch uses.
"""

import ctypes
import struct
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from onward.libraries import installed_library

ACTIVATIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""The types of activations that the kernels support, and the suffix of each in C names."""
PARTS = 16
"""Number of row ranges for which a kernel returns partial sums. It does not depend on the threads."""

SHARES = 2
"""Shares of a kernel's work for each thread. If a thread starts late, another one takes over a share. Scans
read memory less in order if there are more shares."""

SHARED = 1 << 19
"""Minimum number of elements in the arguments of a kernel for its work to be divided among threads.

One thread takes about 0.06 ms for them; waking another takes 0.03 ms.
"""


def load(path: str) -> ctypes.CDLL:
    """Loads a build of the library.

    Raises:
        OSError: the file cannot be loaded.
    """
    return _declared(ctypes.CDLL(path))


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declares the types of the library's arguments."""
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    library.onward_run.argtypes = (pointer, ctypes.c_char_p, size, size)
    library.onward_step.argtypes = (pointer,)
    library.onward_write.argtypes = (pointer, pointer, size)
    library.onward_draw.argtypes = (pointer, size, size, *(pointer,) * 4)
    return library


_installed = installed_library("onward.layers.kernels._kernels")
_library = _declared(_installed) if _installed else None
available = _library is not None
has_dot = _library is not None and bool(_library.onward_has_dot())
"""Whether this CPU multiplies int8 weights four at a time (AVX-512 VNNI) instead of widening them first."""


def call(name: str, activations: torch.dtype, *arguments: int | float | Tensor) -> None:
    """Calls a kernel, with `int` passed as int64, `float` as double, and tensors as pointers."""
    library: Any = _library
    kernel = getattr(library, f"{name}_{ACTIVATIONS[activations]}")
    kinds = ["P" if isinstance(x, Tensor) else "q" if isinstance(x, int) else "d" for x in arguments]
    values = [x.data_ptr() if isinstance(x, Tensor) else x for x in arguments]
    elements = sum(x.numel() for x in arguments if isinstance(x, Tensor))
    threads = torch.get_num_threads() if elements >= SHARED else 1
    shares = SHARES * threads if threads > 1 else 1
    library.onward_run(kernel, struct.pack("".join(kinds), *values), shares, threads)


class StepOperation(ctypes.Structure):
    """The struct of the same name in step.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("kind", "product", "rows", "columns")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "state", "more", "matrix", "scale", "bias")),
        ("number", ctypes.c_double),
    )


class Step(ctypes.Structure):
    """The struct of the same name in step.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "lanes", "symbols")),
        *((name, ctypes.c_void_p) for name in ("operations", "ids", "logits", "chances", "weights")),
    )


class Shares(ctypes.Structure):
    """The struct of the same name in step.c."""

    _fields_ = (("count", ctypes.c_int64), ("threads", ctypes.c_int64), ("steps", ctypes.c_void_p))


class Drawing(ctypes.Structure):
    """The struct of the same name in draw.h."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("top_p", ctypes.c_double),
        ("min_p", ctypes.c_double),
    )


def step(prepared: Shares) -> bool:
    """Runs the operations of a step (inference/step/program.py).

    Returns:
        Whether all ids were in the vocabulary; if not, nothing was computed.
    """
    library: Any = _library
    return not library.onward_step(ctypes.addressof(prepared))


def write(prepared: Shares, drawing: Drawing, never: int) -> Literal["", "ids", "logits"]:
    """Runs the operations of a step and draws the next ids; the first `never` ids are not drawn.

    Returns:
        The cause of a failure: "ids" outside the vocabulary, or "logits" that are not finite; else "".
    """
    library: Any = _library
    failed = library.onward_write(ctypes.addressof(prepared), ctypes.addressof(drawing), never)
    return ("", "ids", "logits")[failed]


def draw(logits: np.ndarray, chances: np.ndarray, drawing: Drawing) -> np.ndarray | None:
    """Draws a symbol for each lane, (B,), as `Sampling.draw` does; None if the logits are not finite.

    Args:
        logits: (B, V) in float32, contiguous.
        chances: random numbers in [0, 1), (B,) in float64, contiguous.
        drawing: the sampling options.
    """
    library: Any = _library
    lanes, symbols = logits.shape
    drawn, weights = np.empty(lanes, np.int64), np.empty(symbols, np.float32)
    arrays = (logits, chances, weights, drawn)
    failed = library.onward_draw(
        ctypes.addressof(drawing), lanes, symbols, *(array.ctypes.data for array in arrays)
    )
    return None if failed else drawn
