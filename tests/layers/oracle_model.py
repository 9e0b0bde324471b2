"""Oracles of the stack, the residual branch and the whole language model: see oracle.py."""

from collections.abc import Callable, Sequence

import numpy as np
from tests.layers import oracle
from tests.layers.oracle import Array, Gradients, Oracle, State, Weights, below, prefixed


class Residual:
    """y = x + layer(norm(x)), or x + layer(x) without a norm."""

    def __init__(self, norm: Oracle | None, layer: Oracle) -> None:
        self.norm, self.layer = norm or oracle.Identity(), layer

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        branch, state = self.layer.forward(self.norm.forward(x, ())[0], state)
        return x + branch, state

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        dinner, dstate, of_layer = self.layer.backward(dy, dstate)
        dx, _, of_norm = self.norm.backward(dinner, ())
        return dy + dx, dstate, prefixed(of_norm, "norm.") | prefixed(of_layer, "layer.")


class Stack:
    """One layer after another; the state is the tuple of their states."""

    def __init__(self, layers: Sequence[Oracle]) -> None:
        self.layers = layers

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            x, new = layer.forward(x, before)
            after.append(new)
        return x, tuple(after)

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        before, gradients = [], {}
        for i in reversed(range(len(self.layers))):
            dy, new, own = self.layers[i].backward(dy, dstate[i])
            before.append(new)
            gradients |= prefixed(own, f"layers.{i}.")
        return dy, tuple(reversed(before)), gradients


RECURRENT: dict[str, Callable[[Weights], Oracle]] = {
    "gated": oracle.GatedLinear,
    "lstm": oracle.LSTM,
    "gru": oracle.GRU,
    "simple": oracle.SimpleRNN,
}


class LanguageModel:
    """An embedding, residual branches (recurrent and feed-forward), a norm, and a readout."""

    def __init__(self, weights: Weights, layer: str, layers: int, feed_forward: bool, tied: bool) -> None:
        self.embedding, self.tied = weights["embedding.weight"], tied
        self.readout = self.embedding if tied else weights["readout.weight"]
        self.shift = 0.0 if tied else weights["readout.bias"]
        branches = [RECURRENT[layer], oracle.GatedFeedForward] if feed_forward else [RECURRENT[layer]]
        stack: list[Oracle] = []
        for make in branches * layers:
            part = below(weights, f"stack.layers.{len(stack)}.")
            stack.append(Residual(oracle.RMSNorm(below(part, "norm.")), make(below(part, "layer."))))
        last = oracle.RMSNorm(below(weights, f"stack.layers.{len(stack)}."))
        self.stack = Stack([*stack, last])

    def forward(self, ids: Array, state: State) -> tuple[Array, State]:
        """Returns the logits (T, B, V) for symbols (T, B)."""
        self.ids = ids
        self.top, state = self.stack.forward(self.embedding[ids], state)
        return oracle.product(self.top, self.readout) + self.shift, state

    def backward(self, dlogits: Array, dstate: State) -> tuple[State, Gradients]:
        """Returns the gradients of the initial state and of the weights, by their names in the model."""
        dtop, dreadout = oracle.product_gradients(dlogits, self.top, self.readout)
        dx, dstate, of_stack = self.stack.backward(dtop, dstate)
        dembedding = np.zeros_like(self.embedding)
        np.add.at(dembedding, self.ids, dx)
        gradients = prefixed(of_stack, "stack.") | {"embedding.weight": dembedding}
        if self.tied:
            gradients["embedding.weight"] += dreadout
        else:
            gradients |= {"readout.weight": dreadout, "readout.bias": dlogits.sum((0, 1))}
        return dstate, gradients


def nats(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Returns -log softmax of each target, (T, B), and the gradient of their sum, (T, B, V)."""
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponents / exponents.sum(-1, keepdims=True)
    came = np.eye(logits.shape[-1])[targets]
    return -np.log((probabilities * came).sum(-1)), probabilities - came
