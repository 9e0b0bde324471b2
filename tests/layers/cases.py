"""Every layer with its oracle. A new layer needs one class and one line in `LAYERS`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tests.layers import oracle, oracle_model
from tests.layers.oracle import Oracle, Weights, below
from torch import Tensor

from onward.layers.base import Layer
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.lstm import LSTM
from onward.layers.norm import RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack
from onward.layers.state import State, map_state, tensors_of

PRECISE = {torch.float64: 1e-11, torch.float32: 2e-5}
"""The types that layers are tested in, and the tolerance as a share of the largest value."""


@dataclass(frozen=True)
class Case:
    """Builds a layer, and its oracle from its weights."""

    make: Callable[[], Layer]
    oracle: Callable[[Weights], Oracle]

    def build(self, dtype: torch.dtype = torch.float64) -> Layer:
        """Returns the layer in evaluation mode, with random weights."""
        torch.manual_seed(0)
        return scattered(self.make()).to(dtype).eval()


def _residual(weights: Weights) -> Oracle:
    norm = oracle.RMSNorm(below(weights, "norm."))
    return oracle_model.Residual(norm, oracle.LSTM(below(weights, "layer.")))


def _stack(weights: Weights) -> Oracle:
    first, norm, last = (below(weights, f"layers.{i}.") for i in (1, 2, 3))
    residual = oracle_model.Residual(None, oracle.GatedLinear(below(last, "layer.")))
    middle = oracle.RMSNorm(norm)
    return oracle_model.Stack([oracle.Identity(), oracle.GRU(first), middle, residual])


LAYERS: dict[str, Case] = {
    "SimpleRNN, tanh": Case(lambda: SimpleRNN(4, 5), oracle.SimpleRNN),
    "SimpleRNN, ReLU": Case(
        lambda: SimpleRNN(4, 5, activation="relu"), lambda weights: oracle.SimpleRNN(weights, "relu")
    ),
    "LSTM": Case(lambda: LSTM(4, 5), oracle.LSTM),
    "GRU": Case(lambda: GRU(4, 5), oracle.GRU),
    "GatedLinear": Case(lambda: GatedLinear(4, 5), oracle.GatedLinear),
    "GatedLinear without convolution": Case(lambda: GatedLinear(4, 7, convolution=1), oracle.GatedLinear),
    "GatedFeedForward": Case(lambda: GatedFeedForward(4, 6), oracle.GatedFeedForward),
    "RMSNorm": Case(lambda: RMSNorm(4), oracle.RMSNorm),
    "Dropout": Case(lambda: Dropout(4, 0.5), lambda _: oracle.Identity()),
    "Residual": Case(lambda: Residual(LSTM(4, 4), norm=RMSNorm(4), dropout=0.5), _residual),
    "Stack": Case(
        lambda: Stack([Dropout(4, 0.5), GRU(4, 5), RMSNorm(5), Residual(GatedLinear(5, 3))]), _stack
    ),
}


def scattered(layer: torch.nn.Module) -> Any:
    """Sets all weights and statistics of a module to random numbers, so that none has a special value."""
    with torch.no_grad():
        for name, value in layer.state_dict().items():
            if value.is_floating_point():
                value.normal_(std=0.4)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return layer


def drawn(
    layer: Layer, steps: int, lanes: int, dtype: torch.dtype = torch.float64, *, seed: int = 1
) -> tuple[Tensor, State]:
    """Returns a random input and a random state."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(steps, lanes, layer.width_in, generator=generator, dtype=dtype)
    state = layer.initial_state(lanes)
    return x, map_state(lambda part: torch.randn(part.shape, generator=generator, dtype=part.dtype), state)


def as_arrays(state: State) -> State:
    """Returns a state with NumPy arrays in float64."""

    def to_array(part: Tensor) -> Any:
        return part.detach().double().numpy()

    return map_state(to_array, state)


def weights_of(module: torch.nn.Module) -> Weights:
    """Returns the weights and statistics of a module in float64."""
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Fails if a number differs by more than `tolerance` times the largest of `expected`."""
    found, expected = (
        np.asarray(x.detach().double() if isinstance(x, Tensor) else x) for x in (found, expected)
    )
    assert found.shape == expected.shape
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * largest)


def states_close(found: State, expected: State, tolerance: float) -> None:
    """Applies `close` to each pair of tensors of two states."""
    for one, other in zip(tensors_of(found), tensors_of(expected), strict=True):
        close(one, other, tolerance)


def leaves(x: Tensor, state: State) -> tuple[Tensor, State]:
    """Returns copies that collect gradients."""
    return x.clone().requires_grad_(), map_state(lambda part: part.clone().requires_grad_(), state)


def gradients_of(layer: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields the name and gradient of each weight; fails if a weight has none."""
    for name, weight in layer.named_parameters():
        assert weight.grad is not None, f"{name} has no gradient"
        yield name, weight.grad


def weighted_sum(y: Tensor, state: State, weights: tuple[Tensor, State]) -> Tensor:
    """Returns a weighted sum of all elements of the output and of the state."""
    parts = zip(tensors_of(state), tensors_of(weights[1]), strict=True)
    return (y * weights[0]).sum() + sum((part * weight).sum() for part, weight in parts)


def assert_parity(layer: Layer, other: Oracle, steps: int, lanes: int, dtype: torch.dtype) -> None:
    """Fails unless values and gradients of the layer equal those of its oracle."""
    tolerance = PRECISE[dtype]
    given_x, given_state = drawn(layer, steps, lanes, dtype)
    x, state = leaves(given_x, given_state)
    y, after = layer(x, state)
    expected, expected_after = other.forward(given_x.double().numpy(), as_arrays(given_state))
    close(y, expected, tolerance)
    states_close(after, expected_after, tolerance)

    torch.manual_seed(2)
    weights = torch.randn_like(y), map_state(torch.randn_like, after)
    layer.zero_grad()
    weighted_sum(y, after, weights).backward()
    dx, dstate, dweights = other.backward(weights[0].double().numpy(), as_arrays(weights[1]))
    close(x.grad, dx, tolerance)
    states_close(map_state(lambda part: part.grad, state), dstate, tolerance)
    found = dict(gradients_of(layer))
    assert found.keys() == dweights.keys()
    for name, gradient in found.items():
        close(gradient, dweights[name], tolerance)
