"""Rung `sequence`: an output at every step.

New here: **the network predicts after each character**, not only after the last one, so an example of eight
characters gives eight errors to learn from. The state starts as zeros, so the first step is like all others.

    h_0 = 0,  h_t = relu(W e(c_t) + U h_{t-1} + b)        U = I at first
    logits_t = B h_t  for the character after c_t,        t = 1 ... 8

The loss falls with the position: the first output depends on one character, the last one on eight. The lesson
printed sums over the eight positions: 16.44 is 2.055 per character.

Expect about 1.66 nats per character (mean over the positions) after eight epochs, in two minutes.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onward.layers.simple import SimpleRNN
from onward.lesson.fit import cross_entropy, evaluate, fit
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import LessonText, read_text

RUNG = Rung(
    name="sequence",
    new="an output and an error at every step",
    measure="training loss of the last epoch, mean over 8 positions, nats per character",
    lesson="1.7258",
    target=1.73,
    minutes=2.0,
)
STEPS = 8
EMBEDDING, HIDDEN = 42, 256
EPOCHS = 8


class SequenceNetwork(nn.Module):
    """Maps characters (B, T) to the logits (B, T, V) of the character after each."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.rnn = SimpleRNN(EMBEDDING, HIDDEN, activation="relu", initialisation="identity")
        self.blue = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor) -> Tensor:
        x = self.embedding(characters.t())  # (T, B, D)
        y, _ = self.rnn(x, self.rnn.initial_state(x.shape[1]))
        return self.blue(y).transpose(0, 1)  # (B, T, V)


def examples(text: LessonText) -> tuple[Tensor, Tensor]:
    """Returns examples that start at every eighth character: x (N, 8) and the next characters y (N, 8)."""
    windows = text.ids.unfold(0, STEPS + 1, STEPS)  # (N, 9)
    return windows[:, :STEPS], windows[:, 1:]


@torch.inference_mode()
def losses_by_position(network: nn.Module, text: LessonText) -> list[float]:
    """Returns the mean loss at each of the eight positions."""
    network.eval()
    x, y = examples(text)
    logits = network(x)  # (N, 8, V)
    return [float(cross_entropy(logits[:, t], y[:, t])) for t in range(STEPS)]


def draw(by_position: list[float], folder: Path) -> Path:
    """Draws the loss at each position."""

    def paint(axes: Any) -> None:
        seen = range(1, STEPS + 1)
        axes.bar(seen, by_position, color="#2f6f4f")
        for at, value in zip(seen, by_position, strict=True):
            axes.text(at, value + 0.02, f"{value:.2f}", ha="center", fontsize=9)
        axes.set_xlabel("characters seen")
        axes.set_ylabel("loss of the next one, nats, held-out text")
        axes.set_ylim(0, max(by_position) + 0.2)

    return save_picture(
        folder / "lesson-sequence.png",
        "The more characters it has seen, the better the network predicts",
        paint,
    )


def run(settings: LessonSettings) -> Outcome:
    """Trains the network, and measures the loss at each position."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network = SequenceNetwork(len(text.symbols))
    loss = fit(network, *examples(training), EPOCHS, settings)
    by_position = losses_by_position(network, held_out)
    return Outcome(
        figure=loss,
        held_out=evaluate(network, *examples(held_out)),
        text=text.name,
        details={
            "held-out loss by position": [round(value, 3) for value in by_position],
            "sum of the training losses": STEPS * loss,
        },
        pictures=(draw(by_position, settings.pictures),) if settings.pictures else (),
    )
