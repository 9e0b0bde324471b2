"""One symbol at a time through a whole model, without the cost of PyTorch for each of its operations.

A step of a small model is a few million multiplications: a tenth of a millisecond, if nothing else is done.
A `Stepper` writes down once what a step computes, as a list of operations on vectors, and has the list run
in C (layers/kernels/step.c). Where that was not compiled, or the model is not one of float32 on a CPU, the
model itself is called, which gives the same to rounding.
"""

import ctypes
from functools import singledispatchmethod
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from onward.errors import InputError
from onward.inference.prediction import device_of, predict
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.kernels import compiled
from onward.layers.lstm import LSTM
from onward.layers.norm import BatchNorm, RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack
from onward.layers.state import State, select_lanes, tensors_of, with_tensors
from onward.model import LanguageModel

WeightType = Literal["fp32", "bf16", "int8"]
"""How a step reads the matrices: as they are, rounded to bfloat16, or to int8 with a scale for each row."""

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

FEW_LANES = 8
"""Beyond them a block of PyTorch is quicker: its matrix products read a matrix once for many lanes."""


class Operation(ctypes.Structure):
    """As in step.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("kind", "type", "rows", "columns")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "state", "more", "matrix", "scale", "bias")),
        ("number", ctypes.c_double),
    )


class Matrices:
    """The matrices of a model as a step reads them, each converted once."""

    def __init__(self, weights: WeightType) -> None:
        if weights not in get_args(WeightType):
            raise InputError(f"weights must be one of {', '.join(get_args(WeightType))}, got {weights!r}")
        self.type = get_args(WeightType).index(weights)
        self._made: dict[int, tuple[Tensor, Tensor | None]] = {}

    def of(self, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        """The matrix (R, C) in the type of weights, and the scales of its rows (R,) where it has some."""
        key = matrix.data_ptr()
        if key not in self._made:
            self._made[key] = self._convert(matrix.detach().contiguous())
        return self._made[key]

    def _convert(self, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.type == 0:
            return matrix, None
        if self.type == 1:
            return matrix.bfloat16(), None
        scale = matrix.abs().amax(1).clamp_min(1e-30) / 127
        return (matrix / scale[:, None]).round().to(torch.int8), scale


class Program:
    """The operations of a step for so many lanes, and the vectors they work on."""

    def __init__(self, model: LanguageModel, lanes: int, matrices: Matrices) -> None:
        self.lanes, self._matrices = lanes, matrices
        self._operations: list[Operation] = []
        self._kept: list[Tensor] = []  # what the operations point at
        self.states: list[Tensor] = []  # in the order of `tensors_of`
        x = self._vector(model.embedding.embedding_dim)
        self._add("embed", y=x, matrix=model.embedding.weight, rows=x.shape[1])
        self.logits = self._linear(self._through(model.stack, x), model.readout.weight, model.readout.bias)
        self.out = self.logits.numpy()
        self.operations = (Operation * len(self._operations))(*self._operations)

    def _through(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Adds the operations of a layer on x (B, D_in); its output (B, D_out)."""
        return self._layer(layer, x)

    @singledispatchmethod
    def _layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        raise NotImplementedError(f"no step is known of {type(layer).__name__}")

    @_layer.register
    def _(self, layer: Stack, x: Tensor) -> Tensor:
        for member in layer.layers:
            x = self._through(member, x)
        return x

    @_layer.register
    def _(self, layer: Residual, x: Tensor) -> Tensor:
        y = self._through(layer.layer, x if layer.norm is None else self._through(layer.norm, x))
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
    def _(self, layer: BatchNorm, x: Tensor) -> Tensor:
        norm, y = layer.norm, self._vector(layer.width_out)
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        self._add("affine", x=x, y=y, rows=layer.width_out, scale=scale, bias=norm.bias - mean * scale)
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
        self._add(
            "linear", x=x, y=y, matrix=matrix, scale=scale, bias=bias, rows=rows, columns=columns,
            type=self._matrices.type, number=float(onto is not None),
        )  # fmt: skip
        return y

    def _vector(self, width: int) -> Tensor:
        return torch.empty(self.lanes, width)

    def _state(self, *shape: int) -> Tensor:
        self.states.append(torch.zeros(self.lanes, *shape))
        return self.states[-1]

    def _add(self, kind: str, **fields: Any) -> None:
        """An operation whose tensors are given as tensors."""
        tensors = {name: x.detach().contiguous() for name, x in fields.items() if isinstance(x, Tensor)}
        pointers = {name: x.data_ptr() for name, x in tensors.items()}
        self._kept += tensors.values()
        self._operations.append(Operation(kind=KINDS.index(kind), **fields | pointers))


class Stepper:
    """Carries a few lanes one symbol further at a time. The state given is left as it is.

    Args:
        model: is used in evaluation mode; its weights must not change.
        state: where the lanes stand, B of them.
        weights: see `WeightType`; other than fp32 only where the steps are compiled.

    Raises:
        InputError: weights of a type that there is not, or that cannot be had here.
    """

    def __init__(self, model: LanguageModel, state: State, weights: WeightType = "fp32") -> None:
        self._model = model.eval()
        self._matrices = Matrices(weights)
        self._programs: dict[int, Program] = {}  # by the number of lanes
        self._compiled = compiled.available and device_of(model).type == "cpu" and _is_float32(model)
        if not self._compiled and weights != "fp32":
            raise InputError(
                f"steps with {weights} weights need the C kernels, and a float32 model on the CPU",
                hint="leave out the type of weights, or install onward where there is a C compiler",
            )
        self._state: State | None = state
        self._form = state
        self._program: Program | None = None  # which holds the present state; None: `_state` alone does

    @property
    def state(self) -> State:
        """Where the lanes stand; it can be kept, nothing changes it. Set it to go on from another."""
        if self._state is None:
            assert self._program is not None
            self._state = with_tensors(self._form, (part.clone() for part in self._program.states))
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if state is not self._state:
            self._state, self._program = state, None

    def select(self, lanes: np.ndarray) -> None:
        """Goes on with these lanes alone, (B,) as indices, in that order; one may be taken many times."""
        self.state = select_lanes(self.state, torch.from_numpy(lanes))

    @torch.inference_mode()
    def step(self, ids: np.ndarray) -> np.ndarray:
        """Logits (B, V) in float32 after the symbols (B,). They may be changed; the next step replaces them.

        Raises:
            InputError: not one id of the vocabulary for each lane.
        """
        symbols = np.ascontiguousarray(ids, np.int64)
        lanes, vocabulary = len(symbols), self._model.config.symbols
        if lanes < 1 or symbols.min() < 0 or symbols.max() >= vocabulary:
            raise InputError(f"expected ids below {vocabulary}, one for each lane, got {symbols.tolist()}")
        if not self._compiled or (lanes > FEW_LANES and not self._matrices.type):
            logits, self._state = predict(self._model, torch.from_numpy(symbols)[None], self.state)
            self._program = None
            return logits[0].cpu().numpy()
        if self._program is None or self._program.lanes != lanes:
            self._program = self._loaded(lanes)
        compiled.step(self._program.operations, lanes, symbols)
        self._state = None
        return self._program.out

    def _loaded(self, lanes: int) -> Program:
        """The program for so many lanes, with the present state in it."""
        if lanes not in self._programs:
            self._programs[lanes] = Program(self._model, lanes, self._matrices)
        program = self._programs[lanes]
        for part, value in zip(program.states, tensors_of(self.state), strict=True):
            if part.shape != value.shape:
                raise InputError(f"expected ids for {len(value)} lanes, got {lanes}")
            part.copy_(value)
        return program


def _is_float32(model: LanguageModel) -> bool:
    return all(parameter.dtype == torch.float32 for parameter in model.parameters())
