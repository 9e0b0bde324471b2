"""Oracles of the layers: forward and backward by hand in NumPy, from the equations in their docstrings.

NumPy in float64 and no PyTorch, so that nothing is shared with the tested code. An oracle is made from the
weights of a layer, by their names in its `state_dict`; `backward` belongs to the `forward` before it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]
State = tuple[Any, ...]
Gradients = dict[str, Array]


class Oracle(Protocol):
    """A layer in NumPy: maps x (T, B, D_in) and a state to y (T, B, D_out) and a state."""

    def forward(self, x: Array, state: State) -> tuple[Array, State]: ...

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        """Returns the gradients of x, of the initial state and of the weights, given those of the results."""
        ...


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def silu_slope(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


def product(x: Array, weight: Array) -> Array:
    """Returns W x at every position, for W (E, D)."""
    return np.einsum("tbd,ed->tbe", x, weight)


def product_gradients(dy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """Returns the gradients of x and of W in W x."""
    return np.einsum("tbe,ed->tbd", dy, weight), np.einsum("tbe,tbd->ed", dy, x)


def below(weights: Weights, prefix: str) -> Weights:
    """Returns the weights whose names start with a prefix, without the prefix."""
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def prefixed(gradients: Gradients, prefix: str) -> Gradients:
    return {prefix + name: value for name, value in gradients.items()}


class Recurrence:
    """The common part of SimpleRNN, LSTM and GRU: W x_t + b and U h_{t-1} + c at each step."""

    def __init__(self, weights: Weights) -> None:
        self.w, self.b = weights["rnn.weight_ih_l0"], weights["rnn.bias_ih_l0"]
        self.u, self.c = weights["rnn.weight_hh_l0"], weights["rnn.bias_hh_l0"]
        self.tape: list[tuple[Array, ...]] = []

    def empty_gradients(self) -> Gradients:
        return {
            "rnn.weight_ih_l0": np.zeros_like(self.w),
            "rnn.weight_hh_l0": np.zeros_like(self.u),
            "rnn.bias_ih_l0": np.zeros_like(self.b),
            "rnn.bias_hh_l0": np.zeros_like(self.c),
        }

    def step_back(
        self, gradients: Gradients, from_x: Array, from_h: Array, x: Array, h: Array
    ) -> tuple[Array, Array]:
        """Adds the gradients of the weights at one step; returns those of x_t and of h_{t-1}.

        from_x and from_h are the gradients of W x_t + b and of U h_{t-1} + c.
        """
        gradients["rnn.weight_ih_l0"] += from_x.T @ x
        gradients["rnn.weight_hh_l0"] += from_h.T @ h
        gradients["rnn.bias_ih_l0"] += from_x.sum(0)
        gradients["rnn.bias_hh_l0"] += from_h.sum(0)
        return from_x @ self.w, from_h @ self.u


class SimpleRNN(Recurrence):
    """h_t = f(W x_t + b + U h_{t-1} + c)."""

    def __init__(self, weights: Weights, activation: str = "tanh") -> None:
        super().__init__(weights)
        self.activation = activation

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        (h,), self.tape, states = state, [], []
        for x_t in x:
            a = x_t @ self.w.T + self.b + h @ self.u.T + self.c
            before, h = h, np.tanh(a) if self.activation == "tanh" else np.maximum(a, 0)
            self.tape.append((x_t, before, h))
            states.append(h)
        return np.stack(states), (h,)

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        (dh,), gradients, dx = dstate, self.empty_gradients(), np.zeros((*dy.shape[:2], self.w.shape[1]))
        for t in reversed(range(len(dy))):
            x_t, before, h = self.tape[t]
            slope = 1 - h**2 if self.activation == "tanh" else (h > 0).astype(float)
            da = (dh + dy[t]) * slope
            dx[t], dh = self.step_back(gradients, da, da, x_t, before)
        return dx, (dh,), gradients


class LSTM(Recurrence):
    """c_t = f * c_{t-1} + i * g, h_t = o * tanh(c_t), gates in the order i f g o."""

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        (h, c), self.tape, states = state, [], []
        for x_t in x:
            a = np.split(x_t @ self.w.T + self.b + h @ self.u.T + self.c, 4, axis=1)
            i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), np.tanh(a[2]), sigmoid(a[3])
            h_before, c_before = h, c
            c = f * c_before + i * g
            h = o * np.tanh(c)
            self.tape.append((x_t, h_before, c_before, i, f, g, o, c))
            states.append(h)
        return np.stack(states), (h, c)

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        (dh, dc), gradients = dstate, self.empty_gradients()
        dx = np.zeros((*dy.shape[:2], self.w.shape[1]))
        for t in reversed(range(len(dy))):
            x_t, h_before, c_before, i, f, g, o, c = self.tape[t]
            total = dh + dy[t]
            dc = dc + total * o * (1 - np.tanh(c) ** 2)
            da = np.concatenate(
                [
                    dc * g * i * (1 - i),
                    dc * c_before * f * (1 - f),
                    dc * i * (1 - g**2),
                    total * np.tanh(c) * o * (1 - o),
                ],
                axis=1,
            )
            dc = dc * f
            dx[t], dh = self.step_back(gradients, da, da, x_t, h_before)
        return dx, (dh, dc), gradients


class GRU(Recurrence):
    """n = tanh(W_n x_t + b_n + r * (U_n h + c_n)), h_t = (1 - z) * n + z * h, gates in the order r z n."""

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        (h,), self.tape, states = state, [], []
        for x_t in x:
            ax, ah = x_t @ self.w.T + self.b, h @ self.u.T + self.c
            (xr, xz, xn), (hr, hz, hn) = np.split(ax, 3, axis=1), np.split(ah, 3, axis=1)
            r, z = sigmoid(xr + hr), sigmoid(xz + hz)
            n = np.tanh(xn + r * hn)
            before, h = h, (1 - z) * n + z * h
            self.tape.append((x_t, before, r, z, n, hn))
            states.append(h)
        return np.stack(states), (h,)

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        (dh,), gradients, dx = dstate, self.empty_gradients(), np.zeros((*dy.shape[:2], self.w.shape[1]))
        for t in reversed(range(len(dy))):
            x_t, before, r, z, n, hn = self.tape[t]
            total = dh + dy[t]
            dn = total * (1 - z) * (1 - n**2)
            dz = total * (before - n) * z * (1 - z)
            dr = dn * hn * r * (1 - r)
            from_x = np.concatenate([dr, dz, dn], axis=1)
            from_h = np.concatenate([dr, dz, dn * r], axis=1)
            dx[t], through = self.step_back(gradients, from_x, from_h, x_t, before)
            dh = through + total * z
        return dx, (dh,), gradients


class GatedLinear:
    """h_t = (1 - z_t) h_{t-1} + z_t v_t, y_t = W_y (h_t silu(g_t)), over a short causal convolution."""

    def __init__(self, weights: Weights) -> None:
        self.kernel = weights["convolution"]  # (K, D), k = 0 the present
        self.project, self.bias = weights["project.weight"], weights["project.bias"]
        self.readout = weights["readout.weight"]

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        h, tail = state
        before = len(self.kernel) - 1
        self.seen = np.concatenate([tail.transpose(1, 0, 2), x])  # (K - 1 + T, B, D)
        self.u = np.zeros_like(x)
        for t in range(len(x)):
            for k, c in enumerate(self.kernel):
                self.u[t] += c * self.seen[before + t - k]
        z, self.v, self.g = np.split(product(self.u, self.project) + self.bias, 3, axis=2)
        self.z = sigmoid(z)
        states = [h]
        for z_t, v_t in zip(self.z, self.v, strict=True):
            states.append((1 - z_t) * states[-1] + z_t * v_t)
        self.h = np.stack(states)  # (T + 1, B, E)
        self.inner = self.h[1:] * silu(self.g)
        return product(self.inner, self.readout), (states[-1], self.seen[len(x) :].transpose(1, 0, 2))

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        dh, dtail = dstate
        dinner, dreadout = product_gradients(dy, self.inner, self.readout)
        dg = dinner * self.h[1:] * silu_slope(self.g)
        dz, dv = np.zeros_like(dg), np.zeros_like(dg)
        for t in reversed(range(len(dy))):
            z, total = self.z[t], dh + dinner[t] * silu(self.g[t])
            dz[t] = total * (self.v[t] - self.h[t]) * z * (1 - z)
            dv[t] = total * z
            dh = total * (1 - z)
        da = np.concatenate([dz, dv, dg], axis=2)
        du, dproject = product_gradients(da, self.u, self.project)
        before, dseen, dkernel = len(self.kernel) - 1, np.zeros_like(self.seen), np.zeros_like(self.kernel)
        dseen[len(dy) :] += dtail.transpose(1, 0, 2)
        for t in range(len(dy)):
            for k, c in enumerate(self.kernel):
                dseen[before + t - k] += c * du[t]
                dkernel[k] += (du[t] * self.seen[before + t - k]).sum(0)
        gradients = {
            "convolution": dkernel,
            "project.weight": dproject,
            "project.bias": da.sum((0, 1)),
            "readout.weight": dreadout,
        }
        return dseen[before:], (dh, dseen[:before].transpose(1, 0, 2)), gradients


class GatedFeedForward:
    """y = W_y (silu(W_a x) * (W_b x))."""

    def __init__(self, weights: Weights) -> None:
        self.project, self.readout = weights["project.weight"], weights["readout.weight"]

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        self.x = x
        self.a, self.b = np.split(product(x, self.project), 2, axis=2)
        return product(silu(self.a) * self.b, self.readout), state

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        dinner, dreadout = product_gradients(dy, silu(self.a) * self.b, self.readout)
        dab = np.concatenate([dinner * self.b * silu_slope(self.a), dinner * silu(self.a)], axis=2)
        dx, dproject = product_gradients(dab, self.x, self.project)
        return dx, dstate, {"project.weight": dproject, "readout.weight": dreadout}


class RMSNorm:
    """y = x / sqrt(mean(x²) + epsilon) * scale."""

    def __init__(self, weights: Weights, epsilon: float = 1e-6) -> None:
        self.scale, self.epsilon = weights["scale"], epsilon

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        self.x, self.root = x, np.sqrt((x**2).mean(-1, keepdims=True) + self.epsilon)
        return x / self.root * self.scale, state

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        unit, dunit = self.x / self.root, dy * self.scale
        dx = (dunit - unit * (dunit * unit).mean(-1, keepdims=True)) / self.root
        return dx, dstate, {"scale": (dy * unit).sum((0, 1))}


class BatchNorm:
    """Normalises each feature by its mean and deviation over all positions and lanes, or by running ones."""

    def __init__(self, weights: Weights, training: bool, epsilon: float = 1e-5) -> None:
        self.scale, self.shift = weights["norm.weight"], weights["norm.bias"]
        self.given = weights["norm.running_mean"], weights["norm.running_var"]
        self.training, self.epsilon = training, epsilon

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        mean, variance = (x.mean((0, 1)), x.var((0, 1))) if self.training else self.given
        self.deviation = np.sqrt(variance + self.epsilon)
        self.unit = (x - mean) / self.deviation
        return self.unit * self.scale + self.shift, state

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        dx = dy * self.scale
        if self.training:
            dx = dx - dx.mean((0, 1)) - self.unit * (dx * self.unit).mean((0, 1))
        gradients = {"norm.weight": (dy * self.unit).sum((0, 1)), "norm.bias": dy.sum((0, 1))}
        return dx / self.deviation, dstate, gradients


class Identity:
    """y = x, which is dropout in evaluation mode."""

    def forward(self, x: Array, state: State) -> tuple[Array, State]:
        return x, state

    def backward(self, dy: Array, dstate: State) -> tuple[Array, State, Gradients]:
        return dy, dstate, {}
