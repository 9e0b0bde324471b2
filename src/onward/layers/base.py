"""What every layer is, and the conventions that all of them keep.

    forward(x, state) -> (y, state)      x: (T, B, D_in), y: (T, B, D_out)
    initial_state(lanes) -> state        what a stream starts from: zeros

* State is an argument and a result, never an attribute. The result depends on nothing else: any
  number of lanes, any cut into blocks, forks and rollbacks give what one pass gives.
* Lanes never mix. Time only flows forward: y_t depends on x_0 ... x_t and the state.
* The first block of a stream gets `initial_state`; nothing is learned in it.
* Gate order, and what a gate means when it is 1, are those of the library each layer matches, and
  stand in its docstring with the equations: i f g o for LSTM and r z n for GRU (torch.nn); in
  `GatedLinear`, z = 1 takes the new value and forgets the old.
* A state keeps the type (float32, float64) that the weights have, also where autocast computes in bfloat16.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from onward.layers.state import State
from onward.shapes import Output, Sequence


class Layer(nn.Module, ABC):
    """A function of a sequence and a state. Subclasses are final.

    Attributes:
        width_in, width_out: features of one position of the input and of the output.
    """

    width_in: int
    width_out: int

    @abstractmethod
    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        """y (T, B, width_out) for x (T, B, width_in), and the state after the last position."""

    @abstractmethod
    def initial_state(self, lanes: int) -> State:
        """The state before the first symbol, for that many lanes."""


def zeros_like_weights(layer: nn.Module, *shape: int) -> Tensor:
    """Zeros of the type and on the device of the layer's first weight."""
    weight = next(layer.parameters())
    return torch.zeros(shape, dtype=weight.dtype, device=weight.device)
