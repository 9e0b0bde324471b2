"""Rung `scan`: the network in Theano.

New here: **a function is defined before it is run**. The lesson wrote its network in Theano, whose
successor is [PyTensor](https://pytensor.readthedocs.io), with the same names:

    variables      matrices x and y that have a type but no value yet
    shared         parameters, whose values persist between calls
    step           one step of the loop: maps x_t and h_{t-1} to h_t and the output
    scan           the loop as one node of the graph: `step` for each row of x, starting from h_0
    grad           turns the graph of the error into the graph of its derivatives
    updates        the new value of each shared parameter after a call
    function       compiles the graph

The second half of this file is the same network in PyTorch: the loop is a Python loop, `scan` has six lines,
and PyTorch differentiates the operations that ran. Initial weights, data, order and learning rate are those
of rung `numpy`, and the first gradients of all three agree to nine digits.

Expect a loss of 14.5 nats over eight characters (1.8 per character) in the last thousand of the 75 thousand
sequences, in four minutes.
Install PyTensor with `pip install ".[theano]"`; without it, the rung runs only its PyTorch half.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onward.lesson.by_hand import (
    RATE,
    STEPS,
    Learn,
    Predict,
    Weights,
    backward,
    first_weights,
    forward,
    one_pass,
    sequences,
)
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import LessonText, read_text

RUNG = Rung(
    name="scan",
    new="a function is defined, then run: variables, shared parameters, step, scan, grad, updates, function",
    measure="training loss of the last thousand sequences, sum over 8 characters, nats",
    lesson="14.464",
    target=14.6,
    minutes=4.0,
)
PRIME = "for thos"


class InTheano:
    """The network in Theano; each function is compiled on first use.

    Args:
        weights: initial values of the shared parameters. All computations use their type.
        rate: learning rate.
    """

    def __init__(self, weights: Weights, rate: float = RATE) -> None:
        self.theano, tensor = import_module("pytensor"), import_module("pytensor.tensor")  # takes seconds
        dtype = weights.green.dtype
        self.x, self.y = tensor.matrix("x", dtype=dtype), tensor.matrix("y", dtype=dtype)
        self.shared = [self.theano.shared(w, name) for w, name in zip(weights, Weights._fields, strict=True)]

        def step(x: Any, h: Any, *weights: Any) -> tuple[Any, Any]:
            green, green_bias, orange, orange_bias, blue, blue_bias = weights
            h = tensor.maximum(x @ green + green_bias + h @ orange + orange_bias, 0)
            return h, tensor.special.log_softmax(h @ blue + blue_bias)

        _, self.log_p = self.theano.scan(
            step,
            sequences=self.x,
            outputs_info=[tensor.zeros_like(self.shared[1]), None],
            non_sequences=self.shared,
            return_updates=False,
        )
        self.error = -(self.y * self.log_p).sum()
        self.slopes = self.theano.grad(self.error, self.shared)
        self.rate = np.asarray(rate, dtype)

    def function(self, inputs: list[Any], output: Any, **options: Any) -> Callable[..., Any]:
        """Compiles a function. This takes seconds with a C compiler, and a minute with Numba."""
        mode = "CVM" if self.theano.config.cxx else None
        with warnings.catch_warnings():
            # PyTensor warns that it found no BLAS; products this small do not need one.
            warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
            return self.theano.function(inputs, output, mode=mode, **options)

    @cached_property
    def learn(self) -> Learn:
        """Returns the error of a sequence, and updates all parameters."""
        moves = [(w, w - self.rate * slope) for w, slope in zip(self.shared, self.slopes, strict=True)]
        return self.function([self.x, self.y], self.error, updates=moves)

    @cached_property
    def predict(self) -> Predict:
        """Returns the probabilities (T, V)."""
        return self.function([self.x], self.log_p.exp())

    @cached_property
    def gradients(self) -> Callable[[np.ndarray, np.ndarray], Weights]:
        """Returns the gradients of the error of a sequence."""
        compiled = self.function([self.x, self.y], self.slopes)
        return lambda x, y: Weights(*compiled(x, y))


def scan(
    step: Callable[..., tuple[Tensor, Tensor]], sequence: Tensor, state: Tensor, *constants: Tensor
) -> tuple[Tensor, Tensor]:
    """Applies `step` to each row of a sequence; returns the final state and the stacked outputs."""
    outputs = []
    for row in sequence:
        state, output = step(row, state, *constants)
        outputs.append(output)
    return state, torch.stack(outputs)


class InTorch:
    """The network in PyTorch, with the methods of `InTheano`."""

    def __init__(self, weights: Weights, rate: float = RATE) -> None:
        self.shared = [torch.tensor(weight, requires_grad=True) for weight in weights]
        self.rate = rate

    def log_p(self, x: np.ndarray) -> Tensor:
        """Returns the log-probabilities (T, V)."""

        def step(x: Tensor, h: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
            green, green_bias, orange, orange_bias, blue, blue_bias = weights
            h = (x @ green + green_bias + h @ orange + orange_bias).relu()
            return h, (h @ blue + blue_bias).log_softmax(-1)

        return scan(step, torch.from_numpy(x), torch.zeros_like(self.shared[1]), *self.shared)[1]

    def slopes(self, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the error, and its gradient for each parameter."""
        error = -(torch.from_numpy(y) * self.log_p(x)).sum()
        return error, torch.autograd.grad(error, self.shared)

    def learn(self, x: np.ndarray, y: np.ndarray) -> float:
        """Returns the error of a sequence, and updates all parameters."""
        error, slopes = self.slopes(x, y)
        with torch.no_grad():
            for weight, slope in zip(self.shared, slopes, strict=True):
                weight.sub_(slope, alpha=self.rate)
        return error.item()

    @torch.inference_mode()
    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the probabilities (T, V)."""
        return self.log_p(x).exp().numpy()

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Weights:
        """Returns the gradients of the error of a sequence."""
        return Weights(*(slope.numpy() for slope in self.slopes(x, y)[1]))


ScanNetwork = InTheano | InTorch


def forms() -> list[type[ScanNetwork]]:
    """Returns the forms that can run on this machine."""
    return [InTheano, InTorch] if find_spec("pytensor") else [InTorch]


def differences(form: type[ScanNetwork], text: LessonText, seed: int) -> float:
    """Returns the largest difference of the first gradients from those of rung `numpy`, in float64."""
    symbols = len(text.symbols)
    one_hot = np.eye(symbols)
    x, y = (one_hot[ids[0]] for ids in sequences(text))
    weights = first_weights(symbols, seed, dtype=np.float64)
    by_hand = backward(weights, x, y, *forward(weights, x))
    pairs = zip(form(weights).gradients(x, y), by_hand, strict=True)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def likeliest(predict: Predict, text: LessonText, prime: str) -> str:
    """Returns the most likely next character after each character of the prime."""
    one_hot = np.eye(len(text.symbols), dtype=np.float32)
    return text.decode(torch.from_numpy(predict(one_hot[text.encode(prime).numpy()]).argmax(-1)))


def draw(network: ScanNetwork, text: LessonText, folder: Path) -> Path:
    """Draws the predictions for one sequence, with a column for each step and a row for each symbol."""
    one_hot = np.eye(len(text.symbols), dtype=np.float32)
    p = network.predict(one_hot[text.encode(PRIME).numpy()])  # (8, V)
    rows = np.sort(np.unique(np.argsort(-p, -1)[:, :4]))

    def paint(axes: Any) -> None:
        axes.imshow(p[:, rows].T, cmap="Greens", vmin=0, vmax=1, aspect="auto")
        for t, r in np.argwhere(p[:, rows] >= 0.05):
            share = p[t, rows[r]]
            axes.text(
                t,
                r,
                f"{share:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share > 0.5 else "black",
            )
        axes.set_xticks(range(STEPS), [repr(c) for c in PRIME])
        axes.set_yticks(range(len(rows)), [repr(chr(text.symbols[r])) for r in rows], fontsize=8)
        axes.set_xlabel("last character read")
        axes.set_ylabel("predicted next character")

    return save_picture(
        folder / "lesson-scan.png",
        "Predictions after each character of one sequence",
        paint,
        size=(8.0, 5.5),
    )


def train(
    form: type[ScanNetwork], text: LessonText, settings: LessonSettings
) -> tuple[ScanNetwork, list[float], float]:
    """Trains a form of the network for one pass; returns it with the results of `one_pass`."""
    settings.report(f"{form.__name__}:")
    network = form(first_weights(len(text.symbols), settings.seed))
    return network, *one_pass(text, settings, network.learn, network.predict)


def run(settings: LessonSettings) -> Outcome:
    """Compares the forms with rung `numpy`, trains them, and predicts a sequence."""
    text = read_text()
    available = forms()
    if InTheano not in available:
        settings.report(
            'PyTensor is not installed, so only PyTorch runs; install it with pip install ".[theano]"'
        )
    details: dict[str, Any] = {
        "gradients_differ_by": {form.__name__: differences(form, text, settings.seed) for form in available}
    }
    network, means, held_out = train(available[0], text, settings)
    for form in available[1:]:
        # The errors are the same, so a tenth of the sequences is enough to compare them.
        _, again, _ = train(form, text, replace(settings, share=settings.share / 10))
        pairs = zip(again, means, strict=False)
        details["means_of_a_thousand_differ_by"] = max(abs(one - other) for one, other in pairs)
    details |= {
        "mean_of_the_first_thousand": round(means[0], 3),
        "nats_per_character_of_the_last_thousand": round(means[-1] / STEPS, 4),
        f"predictions after each character of {PRIME!r}": likeliest(network.predict, text, PRIME),
    }
    return Outcome(
        figure=means[-1],
        holds=max(details["gradients_differ_by"].values()) <= 1e-6,
        held_out=held_out,
        text=text.name,
        details=details,
        pictures=(draw(network, text, settings.pictures),) if settings.pictures else (),
    )
