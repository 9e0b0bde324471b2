"""Programs: the list of operations of one step of a model, which layers/kernels/step.c runs.

For each kind of layer, a method adds its operations, in the notation of the layer's docstring.
"""

import ctypes
from functools import singledispatchmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from onward.inference.step.packed_weights import INT8, INT8_DOT, PackedWeights, workspace_size
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.kernels import compiled
from onward.layers.kernels.compiled import Shares, Step, StepOperation
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
"""Minimum number of multiplications in a step that is divided among threads.

They take 0.15 ms on one core; waking another thread takes 0.04 ms.
"""

_GROUP = 4  # lanes that share a read of the weights, as in products.c
_LANE_FIELDS = ("x", "y", "state", "more")  # fields of an operation that have a row for each lane


class Operation(NamedTuple):
    """An operation of a step.

    Attributes:
        kind: one of `KINDS`.
        tensors: the tensors that fields of the struct point to: vectors of the program, and weights.
        numbers: its other fields.
    """

    kind: str
    tensors: dict[str, Tensor]
    numbers: dict[str, int | float]


class Vectors:
    """The memory of the programs of one stepper, which never run at the same time.

    Programs for similar numbers of lanes share vectors. So all programs together take at most four times as
    much memory as the largest one.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Tensor] = {}

    def get(self, number: int, lanes: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Returns vector `number` of a program, (B, ...)."""
        capacity = 1 << (lanes - 1).bit_length()
        key = (capacity, number)
        if key not in self._made:
            self._made[key] = torch.zeros(capacity, *shape, dtype=dtype, device="cpu")
        return self._made[key][:lanes]


class Program:
    """The operations of a step of B lanes, and the vectors that they work on.

    Args:
        model: the model.
        lanes: B.
        weights: packed weights of the model.
        memory: memory for the vectors; other programs of this stepper may share it.

    Attributes:
        whole: argument of the C code for an undivided step; None if the step should be divided.
        ids: the symbols that a step reads, and after the step the symbols that were drawn, (B,).
        chances: random numbers for drawing, (B,).
        out: logits after a step, (B, V).
        states: tensors of the state, in the order of `tensors_of`; a step changes them.
        vectors: all tensors with a row for each lane.
        operations: the operations, in order.
        lanes, symbols: B and V.
    """

    def __init__(
        self, model: LanguageModel, lanes: int, weights: PackedWeights, memory: Vectors | None = None
    ) -> None:
        self.lanes, self._weights = lanes, weights
        self._memory = memory or Vectors()
        self.vectors: list[Tensor] = []
        self.operations: list[Operation] = []
        self._kept: list[Any] = []  # keeps the structs alive that the shares point to
        self.states: list[Tensor] = []
        x = self._vector(model.embedding.embedding_dim)
        self._add("embed", y=x, matrix=model.embedding.weight, rows=x.shape[1])
        logits = self._linear(self._layer(model.stack, x), model.readout.weight, model.readout.bias)
        self.out, self.symbols = logits.numpy(), model.config.symbols
        self.ids, self.chances = np.zeros(lanes, np.int64), np.zeros(lanes)
        sizes = [o.numbers for o in self.operations if o.kind == "linear"]
        products = sum(int(size["rows"] * size["columns"]) for size in sizes)
        self._shares: dict[int, Shares] = {}  # by the number of threads
        self.whole = None if lanes > _GROUP and lanes * products >= SHARED else self.shares(1)

    def shares(self, threads: int) -> Shares:
        """Returns the argument of the C code for a step on this number of threads."""
        if threads not in self._shares:
            sizes = divide_lanes(self.lanes, threads)
            ends = np.cumsum(sizes).tolist()
            steps = [self._step(end - size, size) for end, size in zip(ends, sizes, strict=True)]
            array = (Step * len(steps))(*steps)
            self._kept.append(array)
            self._shares[threads] = Shares(len(steps), threads, ctypes.addressof(array))
        return self._shares[threads]

    def _step(self, first: int, lanes: int) -> Step:
        """Returns the operations for `lanes` lanes from lane `first` on, with their inputs and outputs."""
        operations = (StepOperation * len(self.operations))()
        for i, operation in enumerate(self.operations):
            operations[i] = StepOperation(kind=KINDS.index(operation.kind), **operation.numbers)
            for name, tensor in operation.tensors.items():
                if tensor.numel():  # an empty tensor has no address
                    skipped = first * (tensor.nbytes // self.lanes) if name in _LANE_FIELDS else 0
                    setattr(operations[i], name, tensor.data_ptr() + skipped)
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
        """Adds the operations of a layer on x (B, D_in), and returns its output (B, D_out)."""
        raise NotImplementedError(f"inference does not support the layer {type(layer).__name__}")

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
        """Adds the operation y = W x + b, or y += W x + b if `onto` is y, and returns y."""
        matrix, scale = self._weights.of(weight)
        y = self._vector(len(weight)) if onto is None else onto
        rows, columns = weight.shape
        product, workspace = self._weights.type, None
        if product == INT8 and compiled.has_dot:
            product, workspace = INT8_DOT, self._vector(workspace_size(columns), dtype=torch.uint8)
        self._add(
            "linear", x=x, y=y, matrix=matrix, scale=scale, bias=bias, rows=rows, columns=columns,
            product=product, more=workspace, number=float(onto is not None),
        )  # fmt: skip
        return y

    def _vector(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        self.vectors.append(self._memory.get(len(self.vectors), self.lanes, *shape, dtype=dtype))
        return self.vectors[-1]

    def _state(self, *shape: int) -> Tensor:
        self.states.append(self._vector(*shape))
        return self.states[-1]

    def _add(self, kind: str, **fields: Any) -> None:
        """Adds an operation."""
        tensors = {name: x.detach().contiguous() for name, x in fields.items() if isinstance(x, Tensor)}
        numbers = {name: x for name, x in fields.items() if not isinstance(x, Tensor) and x is not None}
        self.operations.append(Operation(kind, tensors, numbers))


def divide_lanes(lanes: int, threads: int) -> list[int]:
    """Returns the number of lanes for each thread, the largest first. Groups of lanes are not split."""
    groups = -(-lanes // _GROUP)
    count = min(groups, threads)
    sizes = [_GROUP * (groups // count + (i < groups % count)) for i in range(count)]
    sizes[-1] -= _GROUP * groups - lanes
    return sizes
