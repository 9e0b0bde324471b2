"""Rung `sequence`: an output at every step.

New here: **the network is asked after each character**, not only after the last, so that a sample of eight
gives eight errors to learn from; and the state begins as a vector of zeros, so that the first step is like
all others.

    h_0 = 0,  h_t = relu(W e(c_t) + U h_{t-1} + b)        U = I at first
    logits_t = B h_t  for the character after c_t,        t = 1 ... 8

The loss falls along the positions, because the first output has seen one character and the last eight.
The lesson gave sums over the eight: 16.44 is 2.055 a character.

Expect about 1.66 nats a character, mean over the positions, after eight epochs, in two minutes.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onward.layers.simple import SimpleRNN
from onward.lesson.fit import cross_entropy, fit, judge
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import Text, read_text

RUNG = Rung(
    name="sequence",
    new="an output, and an error, at every step",
    measure="training loss of the last epoch, mean over 8 positions, nats a character",
    lesson="1.7258",
    target=1.73,
    minutes=2.0,
)
STEPS = 8
EMBEDDING, HIDDEN = 42, 256
EPOCHS = 8


class Sequence(nn.Module):
    """Logits (B, T, V) of the character after each, for (B, T)."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.rnn = SimpleRNN(EMBEDDING, HIDDEN, activation="relu", initialisation="identity")
        self.blue = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor) -> Tensor:
        """Every output of the layer through the same readout."""
        x = self.embedding(characters.t())  # (T, B, D)
        y, _ = self.rnn(x, self.rnn.initial_state(x.shape[1]))
        return self.blue(y).transpose(0, 1)


def samples(text: Text) -> tuple[Tensor, Tensor]:
    """Every eighth character begins a sample: x (N, 8), and the character after each, y (N, 8)."""
    windows = text.ids.unfold(0, STEPS + 1, STEPS)  # (N, 9)
    return windows[:, :STEPS], windows[:, 1:]


@torch.inference_mode()
def losses_by_position(network: nn.Module, text: Text) -> list[float]:
    """The mean loss at each of the eight positions."""
    network.eval()
    x, y = samples(text)
    logits = network(x)  # (N, 8, V)
    return [float(cross_entropy(logits[:, t], y[:, t])) for t in range(STEPS)]


def draw(by_position: list[float], folder: Path) -> Path:
    """The picture of loss by position."""

    def paint(axes: Any) -> None:
        seen = range(1, STEPS + 1)
        axes.bar(seen, by_position, color="#2f6f4f")
        for at, value in zip(seen, by_position, strict=True):
            axes.text(at, value + 0.02, f"{value:.2f}", ha="center", fontsize=9)
        axes.set_xlabel("characters seen")
        axes.set_ylabel("nats for the next one, held-out text")
        axes.set_ylim(0, max(by_position) + 0.2)

    return save_picture(
        folder / "lesson-sequence.png", "The more was seen, the less comes as a surprise", paint
    )


def run(settings: LessonSettings) -> Outcome:
    """Trains the network, and shows the loss at each position."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network = Sequence(len(text.symbols))
    loss = fit(network, *samples(training), EPOCHS, settings)
    by_position = losses_by_position(network, held_out)
    return Outcome(
        figure=loss,
        held_out=judge(network, *samples(held_out)),
        text=text.name,
        details={"by_position": [round(value, 3) for value in by_position], "in_sum": STEPS * loss},
        pictures=(draw(by_position, settings.pictures),) if settings.pictures else (),
    )
