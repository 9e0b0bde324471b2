"""Layers made of layers: one after another, and around a residual."""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import nn

from onward.layers import kernels
from onward.layers.base import Layer
from onward.layers.state import State
from onward.shapes import Output, Sequence


class Stack(Layer):
    """Layers one after another. A stack of layers is a layer; its state is the tuple of theirs."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        members: list[Layer] = list(self.layers)  # type: ignore[arg-type]
        if not members:
            raise ValueError("a Stack needs at least one layer, got none")
        for below, above in pairwise(members):
            if below.width_out != above.width_in:
                raise ValueError(
                    f"{type(above).__name__} takes {above.width_in} features, but "
                    f"{type(below).__name__} below it gives {below.width_out}"
                )
        self.width_in, self.width_out = members[0].width_in, members[-1].width_out

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        """Shapes as in `Layer.forward`."""
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            x, new = layer(x, before)
            after.append(new)
        return x, tuple(after)

    def initial_state(self, lanes: int) -> State:
        """The initial state of each layer, bottom first."""
        return tuple(layer.initial_state(lanes) for layer in self.layers)  # type: ignore[operator]


class Residual(Layer):
    """y = x + dropout(layer(norm(x))), the pre-normalised residual branch (arXiv 2002.04745).

    With `norm=None` the branch sees x as it is. The branch must keep the width.
    """

    def __init__(self, layer: Layer, *, norm: Layer | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        if layer.width_in != layer.width_out:
            sizes = f"{layer.width_in} -> {layer.width_out}"
            raise ValueError(f"a residual branch must keep the width, got {sizes}")
        self.width_in = self.width_out = layer.width_in
        self.norm = norm
        self.layer = layer
        self.dropout = dropout

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        """Shapes as in `Layer.forward`. The state is that of the branch."""
        inner = x if self.norm is None else self.norm(x, ())[0]
        y, state = self.layer(inner, state)
        if not (self.training and self.dropout):
            return kernels.add_dropped(x, y, 0.0, 0), state
        seed = int(torch.randint(2**32, ()))  # of torch's own stream, so that it is saved and resumed with it
        return kernels.add_dropped(x, y, self.dropout, seed), state

    def initial_state(self, lanes: int) -> State:
        """The branch's."""
        return self.layer.initial_state(lanes)


class Dropout(Layer):
    """Zeroes features at random in training and scales the rest (torch.nn.Dropout). Carries nothing."""

    def __init__(self, width: int, probability: float) -> None:
        super().__init__()
        self.width_in = self.width_out = width
        self.dropout = nn.Dropout(probability)

    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        """Shapes as in `Layer.forward`."""
        return self.dropout(x), state

    def initial_state(self, lanes: int) -> State:
        """Nothing."""
        return ()
