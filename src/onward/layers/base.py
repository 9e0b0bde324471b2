"""The base class of all layers, and the conventions that all layers follow.

    forward(x, state) -> (y, state)      x (T, B, D_in), y (T, B, D_out)
    initial_state(lanes) -> state        zeros, the state before the first symbol of a stream

* The state is an argument and a result, never an attribute. The result depends on nothing but the arguments.
  So any number of lanes and any split into blocks give the same values as one pass, also after a fork or a
  rollback.
* Lanes never mix. Layers are causal: y_t depends only on x_0 ... x_t and on the state.
* The initial state is not learned.
* A layer can bound its output by the size of its weights, so that a model can be refused whose values could
  become infinite.
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

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from onward.layers.state import State
from onward.shapes import Output, Sequence


class Layer(nn.Module, ABC):
    """Maps a sequence and a state to a sequence and a state. Subclasses are final.

    Attributes:
        width_in, width_out: number of values at each position of the input and of the output.
    """

    width_in: int
    width_out: int

    @abstractmethod
    def forward(self, x: Sequence, state: State) -> tuple[Output, State]:
        """Returns y (T, B, width_out) for x (T, B, width_in), and the state after the last position."""

    @abstractmethod
    def initial_state(self, lanes: int) -> State:
        """Returns the state before the first symbol, for B lanes."""

    @abstractmethod
    def largest_output(self, largest_input: float) -> float:
        """Returns an upper bound of the absolute values of y, in evaluation and from the initial state.

        It is infinite if a value on the way to y could exceed `LARGEST`.

        Args:
            largest_input: an upper bound of the absolute values of x.
        """


LARGEST = 1e33
"""Values up to this size stay finite in float32, even divided by the lowest temperature, 1e-4."""


def bounded(bound: float) -> float:
    """Returns a bound, or infinity if it exceeds `LARGEST` or is not a number."""
    return bound if bound <= LARGEST else math.inf


def largest_product(weight: Tensor, bias: Tensor | None, largest_input: float) -> float:
    """Returns an upper bound of the absolute values of W x + b, for W (E, D) and b (E,)."""
    bound = weight.shape[1] * largest_element(weight) * largest_input
    return bounded(bound + (0.0 if bias is None else largest_element(bias)))


def largest_recurrent_output(rnn: nn.RNNBase, largest_input: float) -> float:
    """Returns `Layer.largest_output` of torch's recurrent layers whose output is from -1 to 1."""
    weights = dict(rnn.named_parameters())
    products = (
        largest_product(weights[f"weight_{name}_l0"], weights[f"bias_{name}_l0"], largest)
        for name, largest in (("ih", largest_input), ("hh", 1.0))
    )
    return 1.0 if math.isfinite(sum(products)) else math.inf


def largest_element(values: Tensor) -> float:
    """Returns the largest absolute value of a tensor; NaN if it has one."""
    least, most = torch.aminmax(values.detach())
    return float(torch.maximum(-least, most))


def zeros_like_weights(layer: nn.Module, *shape: int) -> Tensor:
    """Returns zeros with the type and device of the layer's first weight."""
    weight = next(layer.parameters())
    return torch.zeros(shape, dtype=weight.dtype, device=weight.device)
