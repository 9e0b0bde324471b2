"""Rung `scan`: the network in Theano's terms.

New here: **a function is described before it is run**. The lesson wrote its network for Theano, and
[PyTensor](https://pytensor.readthedocs.io) is what Theano has become, word for word:

    variables      matrices x and y that have no value yet, only a type
    shared         parameters, with a value that lives on between calls
    step           one step of the loop: from x_t and h_{t-1}, h_t and the output
    scan           the loop, as one node of the graph: `step` over the rows of x, from h_0 on
    grad           from the graph of the error, the graph of its derivatives
    updates        what becomes of each shared parameter when the function is called
    function       compiles all of it

Below it stands the same in onward's terms, which are PyTorch's: the loop is Python's own, `scan` has six
lines, and what is differentiated is what was run. First weights, data, order and rate are those of rung
`numpy`, and the first gradients of all three agree to nine digits.

Expect 14.5 nats over eight characters (1.8 a character) in the last thousand of 75, in four minutes. PyTensor
comes with `pip install ".[theano]"`; without it the rung runs its second half alone.
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
from onward.lesson.text import Text, read_text

RUNG = Rung(
    name="scan",
    new="variables, shared parameters, step, scan, grad, updates, function: a function described, then run",
    measure="training loss of the last thousand sequences, sum over 8 characters, nats",
    lesson="14.464",
    target=14.6,
    minutes=4.0,
)
PRIME = "for thos"


class InTheano:
    """The network in Theano's terms; each function is compiled when it is first asked for.

    Args:
        weights: what the shared parameters begin as, in the type of number that all is computed in.
        rate: of the descent.
    """

    def __init__(self, weights: Weights, rate: float = RATE) -> None:
        self.theano, tensor = import_module("pytensor"), import_module("pytensor.tensor")  # seconds to import
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
        """Compiles. Through C, where there is a compiler, that takes seconds; through Numba a minute."""
        mode = "CVM" if self.theano.config.cxx else None
        with warnings.catch_warnings():
            # It warns that it found no BLAS of its own; products this small do without.
            warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
            return self.theano.function(inputs, output, mode=mode, **options)

    @cached_property
    def learn(self) -> Learn:
        """The error of a sequence; as it is computed, all parameters move."""
        moves = [(w, w - self.rate * slope) for w, slope in zip(self.shared, self.slopes, strict=True)]
        return self.function([self.x, self.y], self.error, updates=moves)

    @cached_property
    def predict(self) -> Predict:
        """Probabilities (T, V)."""
        return self.function([self.x], self.log_p.exp())

    @cached_property
    def gradients(self) -> Callable[[np.ndarray, np.ndarray], Weights]:
        """Of the error of a sequence."""
        compiled = self.function([self.x, self.y], self.slopes)
        return lambda x, y: Weights(*compiled(x, y))


def scan(
    step: Callable[..., tuple[Tensor, Tensor]], sequence: Tensor, state: Tensor, *constants: Tensor
) -> tuple[Tensor, Tensor]:
    """The last state, and the outputs of all steps over the rows of a sequence, one below the other."""
    outputs = []
    for row in sequence:
        state, output = step(row, state, *constants)
        outputs.append(output)
    return state, torch.stack(outputs)


class InTorch:
    """The network in onward's terms; what it does is that of `InTheano`."""

    def __init__(self, weights: Weights, rate: float = RATE) -> None:
        self.shared = [torch.tensor(weight, requires_grad=True) for weight in weights]
        self.rate = rate

    def log_p(self, x: np.ndarray) -> Tensor:
        """Log-probabilities (T, V)."""

        def step(x: Tensor, h: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
            green, green_bias, orange, orange_bias, blue, blue_bias = weights
            h = (x @ green + green_bias + h @ orange + orange_bias).relu()
            return h, (h @ blue + blue_bias).log_softmax(-1)

        return scan(step, torch.from_numpy(x), torch.zeros_like(self.shared[1]), *self.shared)[1]

    def slopes(self, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The error, and its gradient by each parameter."""
        error = -(torch.from_numpy(y) * self.log_p(x)).sum()
        return error, torch.autograd.grad(error, self.shared)

    def learn(self, x: np.ndarray, y: np.ndarray) -> float:
        """The error of a sequence, after which all parameters move."""
        error, slopes = self.slopes(x, y)
        with torch.no_grad():
            for weight, slope in zip(self.shared, slopes, strict=True):
                weight.sub_(slope, alpha=self.rate)
        return error.item()

    @torch.inference_mode()
    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (T, V)."""
        return self.log_p(x).exp().numpy()

    def gradients(self, x: np.ndarray, y: np.ndarray) -> Weights:
        """Of the error of a sequence."""
        return Weights(*(slope.numpy() for slope in self.slopes(x, y)[1]))


Form = InTheano | InTorch


def forms() -> list[type[Form]]:
    """Those that can be run here."""
    return [InTheano, InTorch] if find_spec("pytensor") else [InTorch]


def differences(form: type[Form], text: Text, seed: int) -> float:
    """The greatest difference of first gradients, on the first sequence, from those by hand; in float64."""
    symbols = len(text.symbols)
    one_hot = np.eye(symbols)
    x, y = (one_hot[ids[0]] for ids in sequences(text))
    weights = first_weights(symbols, seed, dtype=np.float64)
    by_hand = backward(weights, x, y, *forward(weights, x))
    pairs = zip(form(weights).gradients(x, y), by_hand, strict=True)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def likeliest(predict: Predict, text: Text, prime: str) -> str:
    """For each character of a text, the likeliest to follow."""
    one_hot = np.eye(len(text.symbols), dtype=np.float32)
    return text.decode(torch.from_numpy(predict(one_hot[text.encode(prime).numpy()]).argmax(-1)))


def draw(network: Form, text: Text, folder: Path) -> Path:
    """What the network expects along one sequence: a column a step, a row a symbol."""
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
        axes.set_xlabel("read so far, up to and with")
        axes.set_ylabel("expected next")

    return save_picture(
        folder / "lesson-scan.png",
        "What is expected after each character of one sequence",
        paint,
        size=(8.0, 5.5),
    )


def train(form: type[Form], text: Text, settings: LessonSettings) -> tuple[Form, list[float], float]:
    """The network in a form, trained by one pass, with what `one_pass` returns."""
    settings.say(f"{form.__name__}:")
    network = form(first_weights(len(text.symbols), settings.seed))
    return network, *one_pass(text, settings, network.learn, network.predict)


def run(settings: LessonSettings) -> Outcome:
    """Compares the forms with the pass by hand, trains them, and lets the network predict a sequence."""
    text = read_text()
    here = forms()
    if InTheano not in here:
        settings.say('PyTensor is not installed, so this is PyTorch alone; pip install ".[theano]"')
    details: dict[str, Any] = {
        "gradients_differ_by": {form.__name__: differences(form, text, settings.seed) for form in here}
    }
    network, means, held_out = train(here[0], text, settings)
    for form in here[1:]:
        # The same numbers again: a tenth of them shows it.
        _, again, _ = train(form, text, replace(settings, share=settings.share / 10))
        pairs = zip(again, means, strict=False)
        details["thousands_differ_by"] = max(abs(one - other) for one, other in pairs)
    details |= {
        "first_thousand": round(means[0], 3),
        "nats_a_character": round(means[-1] / STEPS, 4),
        f"after each of {PRIME!r}": likeliest(network.predict, text, PRIME),
    }
    return Outcome(
        figure=means[-1],
        holds=max(details["gradients_differ_by"].values()) <= 1e-6,
        held_out=held_out,
        text=text.name,
        details=details,
        pictures=(draw(network, text, settings.pictures),) if settings.pictures else (),
    )
