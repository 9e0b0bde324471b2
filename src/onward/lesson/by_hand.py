"""Rung `numpy`: everything by hand.

New here: **the pass back through time**, with no library to take a derivative. The network is that of rung
`onehot`, one sequence of eight at a time, an output at every step:

    a_t = x_t G + g + h_{t-1} O + o        G green, O orange (I at first), B blue; g, o, b their biases
    h_t = relu(a_t)                        h_0 = 0
    p_t = softmax(h_t B + b)
    E = - sum_t log p_t[c_{t+1}]           a sum over the eight, in nats

and back, from the last step to the first, with d? for dE/d?:

    dz_t = p_t - y_t                       softmax and cross-entropy together; y_t is one-hot
    dh_t = B dz_t + O da_{t+1}             what the output wants of h_t, and what all later steps want of it
    da_t = dh_t where h_t > 0, else 0
    dB = sum_t outer(h_t, dz_t)    dO = sum_t outer(h_{t-1}, da_t)    dG = sum_t outer(x_t, da_t)

The weights are used at every step, so their gradients are sums over the steps, and no weight moves before the
walk back has ended: a step that reads weights which a later one has changed takes the derivative of nothing.
Whether all this is right is not a matter of belief: each derivative is held against a finite difference.

Plain SGD, one sequence at a time, in the order of the text, once: expect 14.5 nats over eight characters (1.8
a character) in the last thousand of 75, in a minute.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import HELD_OUT, Text, read_text

RUNG = Rung(
    name="numpy",
    new="by hand: every derivative, back through time, checked by finite differences",
    measure="training loss of the last thousand sequences, sum over 8 characters, nats",
    lesson="27.69 (after 10 thousand, at a rate of 1e-4)",
    target=14.6,
    minutes=1.0,
)
STEPS, HIDDEN = 8, 256
RATE = 0.01
THOUSANDS = 75
"""Of sequences that do not overlap; the lesson's text has 75,112."""


Learn = Callable[[np.ndarray, np.ndarray], float]
Predict = Callable[[np.ndarray], np.ndarray]


class Weights(NamedTuple):
    """All that is learned, or the gradient of each."""

    green: np.ndarray  # (V, H), input to hidden
    green_bias: np.ndarray  # (H,)
    orange: np.ndarray  # (H, H), hidden to hidden
    orange_bias: np.ndarray  # (H,)
    blue: np.ndarray  # (H, V), hidden to output
    blue_bias: np.ndarray  # (V,)


def first_weights(symbols: int, seed: int = 0, *, hidden: int = HIDDEN, dtype: Any = np.float32) -> Weights:
    """Normal with a variance of 2 / fan-in (arXiv 1502.01852), the identity for orange, biases of zero."""
    random = np.random.default_rng(seed)

    def normal(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * np.sqrt(2 / rows)).astype(dtype)

    green, blue = normal(symbols, hidden), normal(hidden, symbols)
    zeros = np.zeros(hidden, dtype)
    return Weights(green, zeros, np.eye(hidden, dtype=dtype), zeros.copy(), blue, np.zeros(symbols, dtype))


def relu(a: np.ndarray) -> np.ndarray:
    """What is above zero, else zero."""
    return np.maximum(a, 0)


def relu_slope(h: np.ndarray) -> np.ndarray:
    """The derivative of relu where it gave h."""
    return (h > 0).astype(h.dtype)


def softmax(z: np.ndarray) -> np.ndarray:
    """Probabilities (..., V) of logits; without the largest subtracted, exp would overflow."""
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def softmax_back(p: np.ndarray, dp: np.ndarray) -> np.ndarray:
    """dE/dz from dE/dp, both (..., V): the Jacobian diag(p) - outer(p, p), never written out."""
    return p * (dp - (p * dp).sum(-1, keepdims=True))


def cross_entropy(p: np.ndarray, y: np.ndarray) -> float:
    """Nats of the one-hot targets y under p, both (..., V), a sum."""
    return -float(np.log(p[y > 0]).sum())


def cross_entropy_slope(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The derivative of `cross_entropy` by p."""
    return -y / p


def forward(weights: Weights, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states h (T + 1, H), of which the first is zero, and the outputs p (T, V), for one-hot x (T, V)."""
    green, green_bias, orange, orange_bias, blue, blue_bias = weights
    seen = x @ green + (green_bias + orange_bias)  # (T, H): what does not wait for the state before it
    h = np.zeros((len(x) + 1, green.shape[1]), green.dtype)
    for t in range(len(x)):
        h[t + 1] = relu(seen[t] + h[t] @ orange)
    return h, softmax(h[1:] @ blue + blue_bias)


def backward(weights: Weights, x: np.ndarray, y: np.ndarray, h: np.ndarray, p: np.ndarray) -> Weights:
    """The gradients, of what `forward` made of x under targets y, all from the weights as they were."""
    dz = p - y  # (T, V), which is softmax_back(p, cross_entropy_slope(p, y)) without its division by p
    dh = dz @ weights.blue.T  # (T, H), so far only what the outputs want
    slope = relu_slope(h[1:])
    da = np.empty_like(dh)
    later = np.zeros_like(dh[0])
    for t in reversed(range(len(x))):
        da[t] = (dh[t] + later) * slope[t]
        later = weights.orange @ da[t]
    # x.T @ da is the sum over t of outer(x_t, da_t), in one product.
    return Weights(x.T @ da, da.sum(0), h[:-1].T @ da, da.sum(0), h[1:].T @ dz, dz.sum(0))


def error_of(weights: Weights, x: np.ndarray, y: np.ndarray) -> float:
    """The summed error of a sequence, x and y (T, V)."""
    return cross_entropy(forward(weights, x)[1], y)


def update(weights: Weights, gradients: Weights, rate: float) -> None:
    """One step of plain SGD, in place."""
    for weight, gradient in zip(weights, gradients, strict=True):
        np.subtract(weight, rate * gradient, out=weight)


def learn(weights: Weights, x: np.ndarray, y: np.ndarray, rate: float = RATE) -> float:
    """Forward, back, update; returns the error before the update."""
    h, p = forward(weights, x)
    update(weights, backward(weights, x, y, h, p), rate)
    return cross_entropy(p, y)


def finite_differences(
    weights: Weights, x: np.ndarray, y: np.ndarray, *, each: int, seed: int = 0, width: float = 1e-5
) -> Iterator[tuple[str, float, float]]:
    """The name of a weight, its derivative by hand, and by (E(w + width) - E(w - width)) / 2 width.

    Args:
        weights: in float64; they end as they began.
        x: a sequence (T, V).
        y: its targets (T, V).
        each: how many numbers to take of each array, at random.
        seed: of which.
        width: small enough for the curve, large enough for rounding.
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


def sequences(text: Text) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N, 8) that do not overlap, in the order of the text, and those that follow each, (N, 8)."""
    windows = text.ids.unfold(0, STEPS + 1, STEPS).numpy()  # (N, 9)
    return windows[:, :STEPS], windows[:, 1:]


def check(text: Text, seed: int, each: int = 40) -> list[tuple[str, float, float]]:
    """Finite differences in float64 on the first sequence of a text."""
    symbols = len(text.symbols)
    one_hot = np.eye(symbols)
    x, y = sequences(text)
    return list(
        finite_differences(
            first_weights(symbols, seed, dtype=np.float64), one_hot[x[0]], one_hot[y[0]], each=each
        )
    )


def one_pass(
    text: Text, settings: LessonSettings, learn: Learn, predict: Predict
) -> tuple[list[float], float]:
    """One pass over a text, in its order.

    Args:
        text: 75 thousand sequences of it are taken, or all that it has.
        settings: their `share` is the share of these.
        learn: changes weights by a sequence and its targets (T, V); returns the error before.
        predict: probabilities (T, V), by the weights as they are.

    Returns:
        The mean error of each thousand; and of the text's end, judged before anything of it was learned.
    """
    x, y = sequences(text)
    one_hot = np.eye(len(text.symbols), dtype=np.float32)
    count = min(1000 * settings.of(THOUSANDS), len(x))
    tail = round(len(x) * (1 - HELD_OUT))
    held_out, means, total = 0.0, [], 0.0
    for i in range(count):
        if i == min(tail, count - 1):
            pairs = zip(one_hot[x[tail:]], one_hot[y[tail:]], strict=True)
            held_out = float(np.mean([cross_entropy(predict(a), b) for a, b in pairs]))
        total += float(learn(one_hot[x[i]], one_hot[y[i]]))
        if (i + 1) % 1000 == 0:
            means.append(total / 1000)
            each = f"{means[-1] / STEPS:.4f} a character"
            settings.say(f"{i + 1:,} sequences: {means[-1]:.3f} nats in sum, {each}")
            total = 0.0
    return means, held_out


def draw(means: list[float], checked: list[tuple[str, float, float]], folder: Path) -> Path:
    """The errors of the thousands, and the derivatives against finite differences."""

    def errors(axes: Any) -> None:
        axes.plot(range(1, len(means) + 1), means, color="#2f6f4f", linewidth=1.8)
        axes.axhline(14.464, color="#64748b", linewidth=0.8, linestyle="--")
        axes.annotate(
            "the lesson's last, 14.464",
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
        "Derivatives by hand: they learn, and they are right",
        errors,
        derivatives,
        size=(10.0, 4.5),
    )


def run(settings: LessonSettings) -> Outcome:
    """Checks the derivatives, then trains."""
    text = read_text()
    checked = check(text, settings.seed)
    apart = max(abs(hand - found) for _, hand, found in checked)
    settings.say(f"{len(checked)} derivatives differ from finite differences by {apart:.1e} at most")
    weights = first_weights(len(text.symbols), settings.seed)
    means, held_out = one_pass(text, settings, partial(learn, weights), lambda x: forward(weights, x)[1])
    return Outcome(
        figure=means[-1],
        holds=apart <= 1e-7,
        held_out=held_out,
        text=text.name,
        details={
            "first_thousand": round(means[0], 3),
            "nats_a_character": round(means[-1] / STEPS, 4),
            "derivatives_differ_by": apart,
        },
        pictures=(draw(means, checked, settings.pictures),) if settings.pictures else (),
    )
