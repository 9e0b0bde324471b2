"""The matrices of a model in the memory layout that the C code reads (see layers/kernels/products.h)."""

import threading
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from onward.errors import InputError
from onward.model import LanguageModel

WeightType = Literal["fp32", "bf16", "int8"]
"""Precision of the weights: float32, bfloat16, or int8 with a scale for each row."""

FP32, BF16, INT8, INT8_DOT = range(4)
"""Kinds of product, numbered as in products.h. The last two read the same matrix."""

_PANEL, _VECTOR = 64, 16  # rows of a panel, and of a vector in it, as in products.c
_WORD, _CACHE_LINE = 4, 64  # bytes


class PackedWeights:
    """The packed matrices of a model.

    Each matrix is packed at its first request, and stored after the previously packed matrix. Several threads
    may use the object at once, because the steppers of forked sessions share it.

    Args:
        model: the model; its weights must not change.
        weights: precision of the packed matrices.

    Attributes:
        type: kind of product, numbered as in products.h.

    Raises:
        InputError: the type of weights is unknown.
    """

    def __init__(self, model: LanguageModel, weights: WeightType) -> None:
        if weights not in get_args(WeightType):
            raise InputError(f"expected weights of {', '.join(get_args(WeightType))}, got {weights!r}")
        self.type = get_args(WeightType).index(weights)
        self._made: dict[int, tuple[Tensor, Tensor | None]] = {}
        looked_up = None if model.config.tied else model.embedding.weight
        matrices = (p for p in model.parameters() if p.dim() == 2 and p is not looked_up)
        self._size = sum(_size(matrix.shape, self.type) for matrix in matrices)
        self._free: Tensor | None = None  # free bytes of the allocation
        self._making = threading.Lock()

    def of(self, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns a matrix (R, C) as packed panels, and the scales of its rows, (R,), if it is quantised."""
        key = matrix.data_ptr()
        if key not in self._made:
            with self._making:
                if key not in self._made:  # another thread may have packed it in the meantime
                    self._made[key] = self._stored(*self._packed(matrix.detach()))
        return self._made[key]

    def _stored(self, panels: Tensor, scale: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Copies panels into the allocation, after those of the previous matrix."""
        if self._free is None:  # allocated late, because many steppers never take a step
            whole = torch.empty(self._size + _CACHE_LINE, dtype=torch.uint8)
            self._free = whole[-whole.data_ptr() % _CACHE_LINE :]
        flat = panels.flatten().view(torch.uint8)
        place, self._free = self._free[: len(flat)], self._free[len(flat) :]
        return place.copy_(flat), scale

    def _packed(self, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        scale, (rows, columns) = None, matrix.shape
        if self.type == INT8:
            scale = matrix.abs().amax(1).clamp_min(1e-30) / 127
            matrix = (matrix / scale[:, None]).round() + 128
            matrix = nn.functional.pad(matrix, (0, -columns % _WORD), value=128.0)
        filled = nn.functional.pad(matrix, (0, 0, 0, -rows % _PANEL))
        panels = filled.to(_TYPES[self.type]).unflatten(0, (-1, _PANEL)).transpose(1, 2)  # (panels, C, 64)
        if self.type == BF16:  # (panels, C, 2, 2, 16) -> (panels, C, 2, 16, 2)
            panels = panels.unflatten(2, (-1, 2, _VECTOR)).transpose(3, 4)
        if self.type == INT8:  # (panels, C / 4, 4, 64) -> (panels, C / 4, 64, 4)
            panels = panels.unflatten(1, (-1, _WORD)).transpose(2, 3)
        return panels.contiguous(), scale


def workspace_size(columns: int) -> int:
    """Returns the bytes of scratch memory for each lane of an INT8_DOT product (WORKSPACE in products.h)."""
    return 16 + 2 * (columns + -columns % 16)


_TYPES = (torch.float32, torch.bfloat16, torch.uint8)


def _size(shape: torch.Size, type_: int) -> int:
    """Returns the size of a packed matrix in bytes."""
    rows, columns = shape
    return (rows + -rows % _PANEL) * (columns + -columns % _WORD) * _TYPES[type_].itemsize
