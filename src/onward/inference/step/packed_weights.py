"""The matrices of a model as a step reads them: in panels (layers/kernels/products.h), in order of use."""

import threading
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from onward.errors import InputError
from onward.model import LanguageModel

WeightType = Literal["fp32", "bf16", "int8"]
"""How a step reads the matrices: as they are, rounded to bfloat16, or to int8 with a scale for each row."""

FP32, BF16, INT8, INT8_DOT = range(4)
"""How a matrix is multiplied, as products.h counts; the last two read the same matrix."""

_PANEL, _VECTOR, _WORD, _LINE = 64, 16, 4, 64
"""Rows of a panel and of a vector in it; bytes of a word, and of a line of the cache: as in products.c."""


class Matrices:
    """The matrices of a model, each converted once and laid behind the one that was asked for before it.

    Several threads may ask at once: the steppers of forked sessions share one of these.

    Args:
        model: whose weights must not change.
        weights: see `WeightType`.

    Attributes:
        type: of weights, as products.h counts.

    Raises:
        InputError: a type of weights that there is not.
    """

    def __init__(self, model: LanguageModel, weights: WeightType) -> None:
        if weights not in get_args(WeightType):
            raise InputError(f"weights must be one of {', '.join(get_args(WeightType))}, got {weights!r}")
        self.type = get_args(WeightType).index(weights)
        self._made: dict[int, tuple[Tensor, Tensor | None]] = {}
        looked_up = None if model.config.tied else model.embedding.weight
        matrices = (p for p in model.parameters() if p.dim() == 2 and p is not looked_up)
        self._size = sum(_size(matrix.shape, self.type) for matrix in matrices)
        self._free: Tensor | None = None  # bytes of the allocation that no matrix has yet
        self._making = threading.Lock()

    def of(self, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        """The matrix (R, C) in panels, in the type of weights, and the scales of its rows (R,) if any."""
        key = matrix.data_ptr()
        if key not in self._made:
            with self._making:
                if key not in self._made:  # nor did another thread make it meanwhile
                    self._made[key] = self._laid(*self._converted(matrix.detach()))
        return self._made[key]

    def _laid(self, panels: Tensor, scale: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The panels behind those of the matrix before them."""
        if self._free is None:  # only now, since many steppers never take a step
            whole = torch.empty(self._size + _LINE, dtype=torch.uint8)
            self._free = whole[-whole.data_ptr() % _LINE :]
        flat = panels.flatten().view(torch.uint8)
        place, self._free = self._free[: len(flat)], self._free[len(flat) :]
        return place.copy_(flat), scale

    def _converted(self, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        """Panels, and scales."""
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


def workplace_of(columns: int) -> int:
    """Bytes that each lane of a product of INT8_DOT needs: WORKPLACE of products.h."""
    return 16 + 2 * (columns + -columns % 16)


_TYPES = (torch.float32, torch.bfloat16, torch.uint8)


def _size(shape: torch.Size, type_: int) -> int:
    """Bytes of a matrix in panels."""
    rows, columns = shape
    return (rows + -rows % _PANEL) * (columns + -columns % _WORD) * _TYPES[type_].itemsize
