"""The base class of all layers, and the conventions that all layers follow.

    forward(x, state) -> (y, state)      x (T, B, D_in), y (T, B, D_out)
    initial_state(lanes) -> state        zeros, the state before the first symbol of a stream

* The state is an argument and a result, never an attribute. The result depends on nothing but the arguments.
  So any number of lanes and any split into blocks give the same values as one pass, also after a fork or a
  rollback.
* Lanes never mix. Layers are causal: y_t depends only on x_0 ... x_t and on the state.
* The initial state is not learned.
* The tensors of a state are lane-major, (B, ...). They keep the type of the weights (float32 or float64),
  even if autocast computes in bfloat16.

Each layer orders its gates like the library layer that it matches:

    layer         gates     z = 1 means       the reset gate r acts           state              matches
    SimpleRNN     none                                                        (h,)               torch.nn.RNN
    LSTM          i f g o                                                     (h, c)             torch.nn.LSTM
    GRU           r z n     keep the old h    after the product with U_n      (h,)               torch.nn.GRU
    GatedLinear   z v g     take the new v    no reset gate                   (h, last inputs)   minGRU (*)

(*) arXiv 2410.01201, with the convolution and output gate of Griffin (arXiv 2402.19427).
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from onward.layers.state import State
from onward.shapes import Output, Sequence


class Layer(nn.Module, ABC):
    """Maps a sequence and a state to a sequence and a state. Subclasses are final.

    Attributes:
        width_in, width_out: number of features at each position of the input and of the output.
    """

    width_in: int
    width_out: int

    @abstractmethod
    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        """Returns y (T, B, width_out) for x (T, B, width_in), and the state after the last position."""

    @abstractmethod
    def initial_state(self, lanes: int) -> State:
        """Returns the state before the first symbol, for B lanes."""


def zeros_like_weights(layer: nn.Module, *shape: int) -> Tensor:
    """Returns zeros with the type and device of the layer's first weight."""
    weight = next(layer.parameters())
    return torch.zeros(shape, dtype=weight.dtype, device=weight.device)
