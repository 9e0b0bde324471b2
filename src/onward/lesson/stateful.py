"""Rung `stateful`: state carried from block to block.

New here: **the state is carried over to the next block**. The text is read in order in 64 lanes, eight
characters of each per block, and each block starts from the final state of the previous block. Gradients do
not flow from one block to another. Two things decide whether this works:

*The lanes.* Row i of a block must continue row i of the previous block. The lesson cut the text into examples
of eight, and made a batch of 64 neighbours. So row i of the next batch began 504 characters after the end of
row i, and the state that was carried over belonged to another part of the text. `shifted_blocks` repeats that
mistake; `Lanes` avoids it.

*The layer.* With a carried state, the simple RNN multiplies its state by the hidden-to-hidden matrix
throughout the text. In the first few hundred steps, its gradients explode to fifty thousand times their usual
norm. The loss of the first epoch explodes too, and only then does the network learn. The gradients of an LSTM
stay below one from the first step, because its gates preserve the state. It learns best with normalised
inputs (batch norm). `run` trains all variants and shows the norms of their gradients.

Expect about 1.32 nats per character after twelve epochs with the right lanes, in eight minutes for all
variants.
"""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onward.data.lanes import Block, Lanes
from onward.layers.base import Layer
from onward.layers.lstm import LSTM
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Stack
from onward.layers.state import State, detach
from onward.lesson.batch_norm import BatchNorm
from onward.lesson.fit import cross_entropy, evaluate_stream
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import LessonText, read_text

RUNG = Rung(
    name="stateful",
    new="the state is carried from block to block, in lanes that continue each other",
    measure="training loss of the last epoch, batch norm and LSTM, nats per character",
    lesson="1.6881",
    target=1.66,
    minutes=8.0,
)
LANES, STEPS = 64, 8
EMBEDDING, HIDDEN = 42, 256
EPOCHS, RATE = 12, 1e-3
EXPLODES = 1e3
"""Larger gradient norms count as explosions."""


class Stateful(nn.Module):
    """Maps characters (T, B) and a state to logits (T, B, V) and the next state."""

    def __init__(self, symbols: int, *layers: Layer) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.stack = Stack(layers)
        self.readout = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.stack(self.embedding(characters), state)  # (T, B, H)
        return self.readout(y), state


def shifted_blocks(ids: Tensor) -> Iterator[Block]:
    """Yields one epoch of the lesson's blocks: 64 neighbouring examples of eight, then the next 64."""
    windows = ids.unfold(0, STEPS + 1, STEPS)  # (N, 9)
    for number, rows in enumerate(windows[: len(windows) // LANES * LANES].split(LANES)):
        yield Block(rows[:, :-1].t(), rows[:, 1:].t(), number == 0)


def right_blocks(lanes: Lanes) -> Iterator[Block]:
    """Yields one epoch of blocks. Each block continues the previous one."""
    return (lanes.next() for _ in range(lanes.blocks_per_epoch))


@dataclass
class Variant:
    """One network of the comparison, with its losses and gradient norms."""

    name: str
    network: Stateful
    shifted: bool = False
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    def train(self, text: LessonText, epochs: int, settings: LessonSettings) -> None:
        """Trains with Adam, and resets the state in each epoch. Stops early if the loss is not finite."""
        optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE)
        lanes = Lanes(text.ids.numpy(), lanes=LANES, steps=STEPS)
        for number in range(settings.scaled(epochs)):
            blocks = shifted_blocks(text.ids) if self.shifted else right_blocks(lanes)
            self.losses.append(self._epoch(blocks, optimiser))
            settings.report(f"{self.name}, epoch {number + 1}: {self.losses[-1]:.4f} nats per character")
            if not self.losses[-1] < float("inf"):
                break

    def _epoch(self, blocks: Iterator[Block], optimiser: torch.optim.Optimizer) -> float:
        """Trains for one epoch, and returns the mean of the losses before each update."""
        self.network.train()
        state, values = self.network.stack.initial_state(LANES), []
        for x, y, _ in blocks:
            optimiser.zero_grad()
            logits, state = self.network(x, detach(state))
            loss = cross_entropy(logits, y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), float("inf"))
            optimiser.step()
            values.append(float(loss.detach()))
            self.norms.append(float(norm))
        return sum(values) / len(values)

    def row(self, held_out: LessonText) -> dict[str, Any]:
        """Returns this network's row in the table of the comparison."""
        start = self.network.stack.initial_state(1)
        return {
            "training": _finite(self.losses[-1]),
            "held_out": _finite(evaluate_stream(self.network, start, held_out.ids)),
            "median_gradient_norm": _finite(statistics.median(self.norms)),
            "largest_gradient_norm": _finite(float(torch.tensor(self.norms).max())),
            "explosions": sum(not norm < EXPLODES for norm in self.norms),
        }


def _finite(value: float) -> float | None:
    """Returns None for infinity and NaN, which JSON cannot represent, and other values unchanged."""
    return value if math.isfinite(value) else None


def variants(symbols: int) -> list[Variant]:
    """Returns the networks to compare."""
    simple = SimpleRNN(EMBEDDING, HIDDEN, activation="relu", initialisation="identity")
    return [
        Variant("SimpleRNN", Stateful(symbols, simple)),
        Variant("LSTM", Stateful(symbols, LSTM(EMBEDDING, HIDDEN))),
        Variant("batch norm, LSTM", Stateful(symbols, BatchNorm(EMBEDDING), LSTM(EMBEDDING, HIDDEN))),
        Variant("batch norm, LSTM, the lesson's lanes",
            Stateful(symbols, BatchNorm(EMBEDDING), LSTM(EMBEDDING, HIDDEN)), shifted=True),
    ]  # fmt: skip


def draw(compared: list[Variant], folder: Path) -> Path:
    """Draws the losses and the gradient norms."""
    colours = ("#b45309", "#1d4ed8", "#15803d", "#9ca3af")

    def losses(axes: Any) -> None:
        for variant, colour in zip(compared, colours, strict=True):
            axes.plot(
                range(1, len(variant.losses) + 1), variant.losses, "o-", color=colour, label=variant.name
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss, nats per character")
        axes.set_ylim(1.2, 2.6)
        axes.legend(frameon=False, fontsize=8)

    def norms(axes: Any) -> None:
        for variant, colour in zip(compared, colours, strict=True):
            parts = torch.tensor(variant.norms).split(100)
            largest = [float(part.max()) for part in parts]
            axes.semilogy([100 * i for i in range(len(parts))], largest, color=colour, linewidth=1)
        axes.set_xlabel("step")
        axes.set_ylabel("largest gradient norm in 100 steps")

    title = "With a state carried through the text: which layers learn, and which explode"
    return save_picture(folder / "lesson-stateful.png", title, losses, norms, size=(10.0, 4.5))


def run(settings: LessonSettings) -> Outcome:
    """Trains all variants and compares them."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    compared = variants(len(text.symbols))
    for variant in compared:
        variant.train(training, EPOCHS, settings)
    table = {variant.name: variant.row(held_out) for variant in compared}
    best = table["batch norm, LSTM"]
    return Outcome(
        figure=best["training"],
        held_out=best["held_out"],
        text=text.name,
        details=table,
        pictures=(draw(compared, settings.pictures),) if settings.pictures else (),
    )
