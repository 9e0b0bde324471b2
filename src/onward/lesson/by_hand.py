"""Rung `numpy`: everything by hand.

New here: **back-propagation through time**, without a library that computes derivatives. The network is that
of rung `onehot`, with one sequence of eight at a time and an output at every step:

    a_t = x_t G + g + h_{t-1} O + o        G green, O orange (I at first), B blue; g, o, b their biases
    h_t = relu(a_t)                        h_0 = 0
    p_t = softmax(h_t B + b)
    E = - sum_t log p_t[c_{t+1}]           a sum over eight positions, in nats

and backward, from the last step to the first, where dv means dE/dv for any variable v:

    dz_t = p_t - y_t                       softmax and cross-entropy together; y_t is one-hot
    dh_t = B dz_t + O da_{t+1}             from the output at t, and from all later steps
    da_t = dh_t where h_t > 0, else 0
    dB = sum_t outer(h_t, dz_t)    dO = sum_t outer(h_{t-1}, da_t)    dG = sum_t outer(x_t, da_t)

Each weight is used at every step, so its gradient is a sum over the steps. The weights change only after the
backward pass; otherwise earlier steps would compute derivatives with weights that the forward pass never
used. A sample of the derivatives is compared with finite differences.

Training is plain SGD on one sequence at a time, in one pass through the text. Expect a loss of 14.5 nats over
eight characters (1.8 per character) in the last thousand of the 75 thousand sequences, in a minute.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import HELD_OUT, LessonText, read_text

RUNG = Rung(
    name="numpy",
    new="every derivative by hand: back-propagation through time, checked by finite differences",
    measure="training loss of the last thousand sequences, sum over 8 characters, nats",
    lesson="27.69 (after 10 thousand sequences, at a rate of 1e-4)",
    target=14.6,
    minutes=1.0,
)
STEPS, HIDDEN = 8, 256
RATE = 0.01
THOUSANDS = 75
"""Number of sequences, in thousands. They do not overlap; the lesson's text has 75,112."""

Learn = Callable[[np.ndarray, np.ndarray], float]
Predict = Callable[[np.ndarray], np.ndarray]


class Weights(NamedTuple):
    """All weights, or all gradients."""

    green: np.ndarray  # (V, H), input to hidden
    green_bias: np.ndarray  # (H,)
    orange: np.ndarray  # (H, H), hidden to hidden
    orange_bias: np.ndarray  # (H,)
    blue: np.ndarray  # (H, V), hidden to output
    blue_bias: np.ndarray  # (V,)


def first_weights(symbols: int, seed: int = 0, *, hidden: int = HIDDEN, dtype: Any = np.float32) -> Weights:
    """Returns normal weights of variance 2 / fan-in (arXiv 1502.01852), I for orange, and zero biases."""
    random = np.random.default_rng(seed)

    def normal(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * np.sqrt(2 / rows)).astype(dtype)

    green, blue = normal(symbols, hidden), normal(hidden, symbols)
    zeros = np.zeros(hidden, dtype)
    return Weights(green, zeros, np.eye(hidden, dtype=dtype), zeros.copy(), blue, np.zeros(symbols, dtype))


def relu(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, 0)


def relu_slope(h: np.ndarray) -> np.ndarray:
    """Returns the derivative of relu where its result is h."""
    return (h > 0).astype(h.dtype)


def softmax(z: np.ndarray) -> np.ndarray:
    """Returns the probabilities (..., V) of logits."""
    powers = np.exp(z - z.max(-1, keepdims=True))  # subtracting the largest avoids overflow
    return powers / powers.sum(-1, keepdims=True)


def softmax_back(p: np.ndarray, dp: np.ndarray) -> np.ndarray:
    """Returns dE/dz for dE/dp, both (..., V): a product with the Jacobian diag(p) - outer(p, p)."""
    return p * (dp - (p * dp).sum(-1, keepdims=True))


def cross_entropy(p: np.ndarray, y: np.ndarray) -> float:
    """Returns the loss in nats of one-hot targets y under probabilities p, both (..., V), as a sum."""
    smallest = np.finfo(p.dtype).tiny  # a probability that was rounded to zero would give an infinite loss
    return -float(np.log(np.maximum(p[y > 0], smallest)).sum())


def cross_entropy_slope(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the derivative of `cross_entropy` with respect to p."""
    return -y / p


def forward(weights: Weights, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the states h (T + 1, H), which start with h_0 = 0, and the outputs p (T, V), for x (T, V)."""
    green, green_bias, orange, orange_bias, blue, blue_bias = weights
    from_input = x @ green + (green_bias + orange_bias)  # (T, H), the part that does not depend on the state
    h = np.zeros((len(x) + 1, green.shape[1]), green.dtype)
    for t in range(len(x)):
        h[t + 1] = relu(from_input[t] + h[t] @ orange)
    return h, softmax(h[1:] @ blue + blue_bias)


def backward(weights: Weights, x: np.ndarray, y: np.ndarray, h: np.ndarray, p: np.ndarray) -> Weights:
    """Returns the gradients for inputs x and targets y, given the results h and p of `forward`."""
    dz = p - y  # (T, V); equals softmax_back(p, cross_entropy_slope(p, y)), but without its division by p
    dh = dz @ weights.blue.T  # (T, H), the part that comes from the outputs
    slope = relu_slope(h[1:])
    da = np.empty_like(dh)
    later = np.zeros_like(dh[0])
    for t in reversed(range(len(x))):
        da[t] = (dh[t] + later) * slope[t]
        later = weights.orange @ da[t]
    # x.T @ da is the sum over t of outer(x_t, da_t)
    return Weights(x.T @ da, da.sum(0), h[:-1].T @ da, da.sum(0), h[1:].T @ dz, dz.sum(0))


def error_of(weights: Weights, x: np.ndarray, y: np.ndarray) -> float:
    """Returns the summed error of a sequence x with targets y, both (T, V)."""
    return cross_entropy(forward(weights, x)[1], y)


def update(weights: Weights, gradients: Weights, rate: float) -> None:
    """Updates the weights in place by one step of plain SGD."""
    for weight, gradient in zip(weights, gradients, strict=True):
        np.subtract(weight, rate * gradient, out=weight)


def learn(weights: Weights, x: np.ndarray, y: np.ndarray, rate: float = RATE) -> float:
    """Runs forward and backward passes and an update; returns the error before the update."""
    h, p = forward(weights, x)
    update(weights, backward(weights, x, y, h, p), rate)
    return cross_entropy(p, y)


def finite_differences(
    weights: Weights, x: np.ndarray, y: np.ndarray, *, each: int, seed: int = 0, width: float = 1e-5
) -> Iterator[tuple[str, float, float]]:
    """Yields names of weights, their derivatives by hand, and (E(w + width) - E(w - width)) / (2 width).

    Args:
        weights: the weights, in float64. They are restored at the end.
        x: a sequence (T, V).
        y: its targets (T, V).
        each: number of random elements of each array to check.
        seed: seed for the choice of the elements.
        width: small, so that the difference approximates the derivative, but large compared with rounding.
    """
    gradients = backward(weights, x, y, *forward(weights, x))
    random = np.random.default_rng(seed)
    for name, weight, gradient in zip(Weights._fields, weights, gradients, strict=True):
        flat = weight.reshape(-1)
        for at in random.permutation(flat.size)[:each]:
            before = flat[at]
            flat[at] = before + width
            above = error_of(weights, x, y)
            flat[at] = before - width
            below = error_of(weights, x, y)
            flat[at] = before
            yield name, float(gradient.reshape(-1)[at]), (above - below) / (2 * width)


def sequences(text: LessonText) -> tuple[np.ndarray, np.ndarray]:
    """Returns sequences of ids that do not overlap, (N, 8), and the id that follows each id, (N, 8)."""
    windows = text.ids.unfold(0, STEPS + 1, STEPS).numpy()  # (N, 9)
    return windows[:, :STEPS], windows[:, 1:]


def check(text: LessonText, seed: int, each: int = 40) -> list[tuple[str, float, float]]:
    """Compares derivatives with finite differences in float64, on the first sequence of a text."""
    symbols = len(text.symbols)
    one_hot = np.eye(symbols)
    x, y = sequences(text)
    return list(
        finite_differences(
            first_weights(symbols, seed, dtype=np.float64), one_hot[x[0]], one_hot[y[0]], each=each
        )
    )


def one_pass(
    text: LessonText, settings: LessonSettings, learn: Learn, predict: Predict
) -> tuple[list[float], float]:
    """Trains for one pass over a text, in order.

    Args:
        text: its first 75 thousand sequences are used.
        settings: `share` is the share of these sequences to use.
        learn: updates the weights for a sequence and its targets (T, V); returns the error before the update.
        predict: returns the probabilities (T, V) of a sequence.

    Returns:
        The mean error of each thousand sequences, and the mean error on the last 5 % of the text, before the
        network is trained on them.
    """
    x, y = sequences(text)
    one_hot = np.eye(len(text.symbols), dtype=np.float32)
    count = min(1000 * settings.scaled(THOUSANDS), len(x))
    tail = round(len(x) * (1 - HELD_OUT))
    held_out, means, total = 0.0, [], 0.0
    for i in range(count):
        if i == min(tail, count - 1):
            pairs = zip(one_hot[x[tail:]], one_hot[y[tail:]], strict=True)
            held_out = float(np.mean([cross_entropy(predict(a), b) for a, b in pairs]))
        total += float(learn(one_hot[x[i]], one_hot[y[i]]))
        if (i + 1) % 1000 == 0:
            means.append(total / 1000)
            each = f"{means[-1] / STEPS:.4f} per character"
            settings.report(f"{i + 1:,} sequences: {means[-1]:.3f} nats over {STEPS} characters, {each}")
            total = 0.0
    return means, held_out


def draw(means: list[float], checked: list[tuple[str, float, float]], folder: Path) -> Path:
    """Draws the errors during training, and the derivatives against finite differences."""

    def errors(axes: Any) -> None:
        axes.plot(range(1, len(means) + 1), means, color="#2f6f4f", linewidth=1.8)
        axes.axhline(14.464, color="#64748b", linewidth=0.8, linestyle="--")
        axes.annotate(
            "the lesson: 14.464",
            (0, 14.464),
            (3, 4),
            textcoords="offset points",
            color="#64748b",
            fontsize=8,
        )
        axes.annotate(
            f"{means[-1]:.2f}",
            (len(means), means[-1]),
            (-6, -14),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
        axes.set_ylim(min(means) - 1.2, max(means) + 0.5)
        axes.set_xlabel("thousands of sequences")
        axes.set_ylabel("nats over eight characters")

    def derivatives(axes: Any) -> None:
        colours = {"green": "#2e8b57", "orange": "#e07b00", "blue": "#2563a8"}
        for name, colour in colours.items():
            pairs = np.array([(hand, found) for of, hand, found in checked if of.startswith(name)])
            axes.scatter(*pairs.T, s=22, color=colour, alpha=0.65, linewidth=0, label=name)
        axes.axline((0, 0), slope=1, color="#64748b", linewidth=0.8, zorder=0)
        axes.set_xlabel("derivative by hand")
        axes.set_ylabel("finite difference")
        axes.legend(frameon=False, loc="upper left")

    return save_picture(
        folder / "lesson-numpy.png",
        "Training with derivatives by hand, and their comparison with finite differences",
        errors,
        derivatives,
        size=(10.0, 4.5),
    )


def run(settings: LessonSettings) -> Outcome:
    """Checks the derivatives, then trains."""
    text = read_text()
    checked = check(text, settings.seed)
    largest = max(abs(hand - found) for _, hand, found in checked)
    settings.report(f"{len(checked)} derivatives differ from finite differences by at most {largest:.1e}")
    weights = first_weights(len(text.symbols), settings.seed)
    means, held_out = one_pass(text, settings, partial(learn, weights), lambda x: forward(weights, x)[1])
    return Outcome(
        figure=means[-1],
        holds=largest <= 1e-7,
        held_out=held_out,
        text=text.name,
        details={
            "mean_of_the_first_thousand": round(means[0], 3),
            "nats_per_character_of_the_last_thousand": round(means[-1] / STEPS, 4),
            "derivatives_differ_by": largest,
        },
        pictures=(draw(means, checked, settings.pictures),) if settings.pictures else (),
    )
