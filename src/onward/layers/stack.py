"""Layers that combine others: a stack and a residual branch; and dropout."""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import nn

from onward.layers import kernels
from onward.layers.base import Layer, bounded
from onward.layers.state import State
from onward.shapes import Output, Sequence


class Stack(Layer):
    """Applies layers one after another. The state of a stack is the tuple of the states of its layers."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        members: list[Layer] = list(self.layers)  # type: ignore[arg-type]
        if not members:
            raise ValueError("expected at least one layer in a Stack, got none")
        for below, above in pairwise(members):
            if below.width_out != above.width_in:
                raise ValueError(
                    f"{type(above).__name__} expects an input of width {above.width_in}, but "
                    f"{type(below).__name__} below it returns width {below.width_out}"
                )
        self.width_in, self.width_out = members[0].width_in, members[-1].width_out

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            x, new = layer(x, before)
            after.append(new)
        return x, tuple(after)

    def initial_state(self, lanes: int) -> State:
        return tuple(layer.initial_state(lanes) for layer in self.layers)  # type: ignore[operator]

    def largest_output(self, largest_input: float) -> float:
        for layer in self.layers:
            largest_input = layer.largest_output(largest_input)  # type: ignore[operator]
        return largest_input


class Residual(Layer):
    """y = x + dropout(layer(norm(x))), the pre-normalised residual branch (arXiv 2002.04745).

    With `norm=None`, y = x + dropout(layer(x)). Input and output of the layer must have the same width.
    """

    def __init__(self, layer: Layer, *, norm: Layer | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        if layer.width_in != layer.width_out:
            sizes = f"{layer.width_in} -> {layer.width_out}"
            raise ValueError(f"expected a residual branch that keeps the width, got {sizes}")
        self.width_in = self.width_out = layer.width_in
        self.norm = norm
        self.layer = layer
        self.dropout = dropout

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        inner = x if self.norm is None else self.norm(x, ())[0]
        y, state = self.layer(inner, state)
        if not (self.training and self.dropout):
            return kernels.add_dropped(x, y, 0.0, 0), state
        seed = int(torch.randint(2**32, ()))  # from torch's generator, which checkpoints save
        return kernels.add_dropped(x, y, self.dropout, seed), state

    def initial_state(self, lanes: int) -> State:
        return self.layer.initial_state(lanes)

    def largest_output(self, largest_input: float) -> float:
        inner = largest_input if self.norm is None else self.norm.largest_output(largest_input)
        return bounded(largest_input + self.layer.largest_output(inner))


class Dropout(Layer):
    """Sets random values to zero in training, and scales the others (torch.nn.Dropout). Stateless."""

    def __init__(self, width: int, probability: float) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.dropout = nn.Dropout(probability)

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        return self.dropout(x), state

    def initial_state(self, lanes: int) -> State:
        return ()

    def largest_output(self, largest_input: float) -> float:
        return largest_input
