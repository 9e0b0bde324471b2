"""What a step computes, written down: the operations of a model on vectors, for layers/kernels/step.c to run.

Each layer of the library has its operations here, in the notation of its own docstring.
"""

import ctypes
from functools import singledispatchmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onward.inference.step.packed_weights import INT8, INT8_DOT, Matrices, workplace_of
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.kernels import compiled
from onward.layers.kernels.compiled import Operation, Shares, Step
from onward.layers.lstm import LSTM
from onward.layers.norm import RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack
from onward.model import LanguageModel

KINDS = (
    "embed",
    "linear",
    "rms_norm",
    "affine",
    "convolve",
    "gated_scan",
    "gated_unit",
    "add",
    "lstm",
    "gru",
    "simple",
)
"""The operations, in the order of the enumeration in step.c."""


SHARED = 1 << 24
"""Multiplications from which a step is divided among threads: 0.15 ms of a core, of which waking
another takes 0.04."""

_SIDE = 4
"""Lanes that share a reading of the weights, as in products.c."""

_OF_LANES = ("x", "y", "state", "more")
"""What of an operation has a row for each lane."""


class Vectors:
    """The memory of programs of one model, of which one is stepped at a time: those for about as many lanes
    share it. A stepper of any number of lanes takes at most four times what its largest steps need."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Tensor] = {}

    def get(self, number: int, lanes: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """The vector (B, ...) of that number in the order of a program."""
        room = 1 << (lanes - 1).bit_length()
        key = (room, number)
        if key not in self._made:
            self._made[key] = torch.zeros(room, *shape, dtype=dtype, device="cpu")
        return self._made[key][:lanes]


class Program:
    """The operations of a step for so many lanes, and the vectors they work on.

    Args:
        model: what is stepped.
        lanes: B.
        matrices: of the model.
        memory: of its vectors, which may be that of other programs of this model.

    Attributes:
        whole: what the C code is called with, where a step is not worth dividing; else None.
        ids: the symbols (B,) that a step reads, and that follow it where they are drawn.
        chances: of drawing them, (B,).
        out: the logits (B, V) that a step leaves.
        states: the tensors of the state that a step changes, in the order of `tensors_of`.
        vectors: all that has a row for each lane.
        lanes, symbols: B and V.
    """

    def __init__(
        self, model: LanguageModel, lanes: int, matrices: Matrices, memory: Vectors | None = None
    ) -> None:
        self.lanes, self._matrices = lanes, matrices
        self._memory = memory or Vectors()
        self.vectors: list[Tensor] = []
        self._operations: list[tuple[Operation, dict[str, int]]] = []  # with the bytes of a lane in each
        self._kept: list[Any] = []  # what the operations point at
        self.states: list[Tensor] = []  # in the order of `tensors_of`
        x = self._vector(model.embedding.embedding_dim)
        self._add("embed", y=x, matrix=model.embedding.weight, rows=x.shape[1])
        logits = self._linear(self._layer(model.stack, x), model.readout.weight, model.readout.bias)
        self.out, self.symbols = logits.numpy(), model.config.symbols
        self.ids, self.chances = np.zeros(lanes, np.int64), np.zeros(lanes)
        products = sum(o.rows * o.columns for o, _ in self._operations if o.kind == KINDS.index("linear"))
        self._shares: dict[int, Shares] = {}  # by the number of threads
        self.whole = None if lanes > _SIDE and lanes * products >= SHARED else self.shares(1)

    def shares(self, threads: int) -> Shares:
        """What the C code is called with, where it may use so many threads."""
        if threads not in self._shares:
            sizes = division(self.lanes, threads)
            ends = np.cumsum(sizes).tolist()
            steps = [self._step(end - size, size) for end, size in zip(ends, sizes, strict=True)]
            listed = (Step * len(steps))(*steps)
            self._kept.append(listed)
            self._shares[threads] = Shares(len(steps), threads, ctypes.addressof(listed))
        return self._shares[threads]

    def _step(self, first: int, lanes: int) -> Step:
        """The operations for some of the lanes, and where they find and leave what is not a layer's."""
        operations = (Operation * len(self._operations))()
        for i, (operation, sizes) in enumerate(self._operations):
            operations[i] = operation
            for name, size in sizes.items():
                if size:  # what has no bytes is nowhere
                    setattr(operations[i], name, getattr(operation, name) + first * size)
        weights = np.empty(self.symbols, np.float32)
        arrays = {"ids": self.ids[first:], "logits": self.out[first:], "chances": self.chances[first:]}
        self._kept += operations, weights
        return Step(
            count=len(operations),
            lanes=lanes,
            symbols=self.symbols,
            operations=ctypes.addressof(operations),
            **{name: array.ctypes.data for name, array in (arrays | {"weights": weights}).items()},
        )

    @singledispatchmethod
    def _layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Adds the operations of a layer on x (B, D_in); its output (B, D_out)."""
        raise NotImplementedError(f"no step is known of {type(layer).__name__}")

    @_layer.register
    def _(self, layer: Stack, x: Tensor) -> Tensor:
        for member in layer.layers:
            x = self._layer(member, x)
        return x

    @_layer.register
    def _(self, layer: Residual, x: Tensor) -> Tensor:
        y = self._layer(layer.layer, x if layer.norm is None else self._layer(layer.norm, x))
        self._add("add", x=x, y=y, rows=y.shape[1])
        return y

    @_layer.register
    def _(self, layer: Dropout, x: Tensor) -> Tensor:
        return x

    @_layer.register
    def _(self, layer: RMSNorm, x: Tensor) -> Tensor:
        y = self._vector(layer.width_out)
        self._add("rms_norm", x=x, y=y, rows=layer.width_out, scale=layer.scale, number=layer.epsilon)
        return y

    @_layer.register
    def _(self, layer: GatedLinear, x: Tensor) -> Tensor:
        taps, u = layer.convolution.shape[0], self._vector(layer.width_in)
        h, tail = self._state(layer.inner), self._state(taps - 1, layer.width_in)
        sizes = {"rows": layer.width_in, "columns": taps}
        self._add("convolve", x=x, y=u, state=tail, matrix=layer.convolution, **sizes)
        zvg, y = self._linear(u, layer.project.weight, layer.project.bias), self._vector(layer.inner)
        self._add("gated_scan", x=zvg, y=y, state=h, rows=layer.inner)
        return self._linear(y, layer.readout.weight)

    @_layer.register
    def _(self, layer: GatedFeedForward, x: Tensor) -> Tensor:
        inner = layer.readout.in_features
        ab, y = self._linear(x, layer.project.weight), self._vector(inner)
        self._add("gated_unit", x=ab, y=y, rows=inner)
        return self._linear(y, layer.readout.weight)

    @_layer.register
    def _(self, layer: LSTM, x: Tensor) -> Tensor:
        weights, y = dict(layer.rnn.named_parameters()), self._vector(layer.width_out)
        h, c = self._state(layer.width_out), self._state(layer.width_out)
        gates = self._linear(x, weights["weight_ih_l0"], weights["bias_ih_l0"])
        self._linear(h, weights["weight_hh_l0"], weights["bias_hh_l0"], onto=gates)
        self._add("lstm", x=gates, y=y, state=h, more=c, rows=layer.width_out)
        return y

    @_layer.register
    def _(self, layer: GRU, x: Tensor) -> Tensor:
        weights, y = dict(layer.rnn.named_parameters()), self._vector(layer.width_out)
        h = self._state(layer.width_out)
        of_x = self._linear(x, weights["weight_ih_l0"], weights["bias_ih_l0"])
        of_h = self._linear(h, weights["weight_hh_l0"], weights["bias_hh_l0"])
        self._add("gru", x=of_x, more=of_h, y=y, state=h, rows=layer.width_out)
        return y

    @_layer.register
    def _(self, layer: SimpleRNN, x: Tensor) -> Tensor:
        weights, y = dict(layer.rnn.named_parameters()), self._vector(layer.width_out)
        h = self._state(layer.width_out)
        sum_ = self._linear(x, weights["weight_ih_l0"], weights["bias_ih_l0"])
        self._linear(h, weights["weight_hh_l0"], weights["bias_hh_l0"], onto=sum_)
        is_relu = layer.rnn.nonlinearity == "relu"
        self._add("simple", x=sum_, y=y, state=h, rows=layer.width_out, number=float(is_relu))
        return y

    def _linear(
        self, x: Tensor, weight: Tensor, bias: Tensor | None = None, *, onto: Tensor | None = None
    ) -> Tensor:
        """y = W x + b, or y += W x + b."""
        matrix, scale = self._matrices.of(weight)
        y = self._vector(len(weight)) if onto is None else onto
        rows, columns = weight.shape
        product, workplace = self._matrices.type, None
        if product == INT8 and compiled.has_dot:
            product, workplace = INT8_DOT, self._vector(workplace_of(columns), dtype=torch.uint8)
        self._add(
            "linear", x=x, y=y, matrix=matrix, scale=scale, bias=bias, rows=rows, columns=columns,
            product=product, more=workplace, number=float(onto is not None),
        )  # fmt: skip
        return y

    def _vector(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        self.vectors.append(self._memory.get(len(self.vectors), self.lanes, *shape, dtype=dtype))
        return self.vectors[-1]

    def _state(self, *shape: int) -> Tensor:
        self.states.append(self._vector(*shape))
        return self.states[-1]

    def _add(self, kind: str, **fields: Any) -> None:
        """An operation whose tensors are given as tensors."""
        tensors = {name: x.detach().contiguous() for name, x in fields.items() if isinstance(x, Tensor)}
        pointers = {name: x.data_ptr() for name, x in tensors.items()}
        sizes = {name: x.nbytes // self.lanes for name, x in tensors.items() if name in _OF_LANES}
        self._kept += tensors.values()
        self._operations.append((Operation(kind=KINDS.index(kind), **fields | pointers), sizes))


def division(lanes: int, threads: int) -> list[int]:
    """Lanes of each share, the largest first: one for each thread, in groups that share their readings."""
    groups = -(-lanes // _SIDE)
    count = min(groups, threads)
    sizes = [_SIDE * (groups // count + (i < groups % count)) for i in range(count)]
    sizes[-1] -= _SIDE * groups - lanes
    return sizes
