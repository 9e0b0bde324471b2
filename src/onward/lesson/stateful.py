"""Rung `stateful`: state carried from block to block.

New here: **the state outlives the block**. The text is read in order, in 64 lanes, eight characters of each
at a time, and each block begins with the state that the one before it left; gradients still go no further
back than the block. Two things decide whether that works:

*The lanes.* Row i of the next block must go on where row i of this one stopped. The lesson cut the text into
samples of eight and took 64 neighbours as a batch, so that row i of the next batch began 504 characters
after the end of row i: its carried state was that of another page. `shifted_blocks` does that, `Lanes` does
it right.

*The layer.* With a carried state the simple RNN of the rungs before is multiplied by its hidden-to-hidden
matrix for the length of the text: in its first hundreds of steps the gradients explode, to fifty thousand
times their usual norm, and the loss of its first epoch with them; only then does it learn. Those of LSTM,
whose state is kept by gates, stay below one from the first step on, and it learns best with its inputs
normalised (batch norm). `run` trains all three side by side and shows the norms of their gradients.

Expect about 1.32 nats a character after twelve epochs with the right lanes, in eight minutes for all.
"""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
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
from onward.lesson.fit import cross_entropy, judge_stream
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import Text, read_text

RUNG = Rung(
    name="stateful",
    new="state carried from block to block, in lanes that go on where they stopped",
    measure="training loss of the last epoch, batch norm and LSTM, nats a character",
    lesson="1.6881",
    target=1.66,
    minutes=8.0,
)
LANES, STEPS = 64, 8
EMBEDDING, HIDDEN = 42, 256
EPOCHS, RATE = 12, 1e-3
EXPLODES = 1e3
"""A gradient norm above this is called an explosion."""


class Stateful(nn.Module):
    """Logits (T, B, V) and the state after, for characters (T, B) and the state before."""

    def __init__(self, symbols: int, *layers: Layer) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.stack = Stack(layers)
        self.readout = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor, state: State) -> tuple[Tensor, State]:
        """State in, state out."""
        y, state = self.stack(self.embedding(characters), state)
        return self.readout(y), state


def shifted_blocks(ids: Tensor) -> Iterator[Block]:
    """One epoch of the lesson's blocks: 64 neighbouring samples of eight, then the next 64."""
    windows = ids.unfold(0, STEPS + 1, STEPS)  # (N, 9)
    for number, rows in enumerate(windows[: len(windows) // LANES * LANES].split(LANES)):
        yield Block(rows[:, :-1].t(), rows[:, 1:].t(), number == 0)


def right_blocks(lanes: Lanes) -> Iterator[Block]:
    """One epoch of blocks, each of which goes on where the one before it stopped."""
    return (lanes.next() for _ in range(lanes.blocks_per_epoch))


@dataclass
class Arm:
    """One network of the comparison, and what became of it."""

    name: str
    network: Stateful
    shifted: bool = False

    def __post_init__(self) -> None:
        """Nothing was seen yet."""
        self.losses: list[float] = []
        self.norms: list[float] = []

    def train(self, text: Text, epochs: int, settings: LessonSettings) -> None:
        """Adam, the state reset at each epoch; ends early once the loss is not finite."""
        optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE)
        lanes = Lanes(text.ids.numpy(), lanes=LANES, steps=STEPS)
        for number in range(settings.of(epochs)):
            blocks = shifted_blocks(text.ids) if self.shifted else right_blocks(lanes)
            self.losses.append(self._epoch(blocks, optimiser))
            settings.say(f"{self.name}, epoch {number + 1}: {self.losses[-1]:.4f} nats a character")
            if not self.losses[-1] < float("inf"):
                break

    def _epoch(self, blocks: Iterator[Block], optimiser: torch.optim.Optimizer) -> float:
        """The mean of what each block gave before its update."""
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

    def row(self, held_out: Text) -> dict[str, Any]:
        """What the table of the comparison says of this network."""
        start = self.network.stack.initial_state(1)
        return {
            "training": _finite(self.losses[-1]),
            "held_out": _finite(judge_stream(self.network, start, held_out.ids)),
            "median_gradient_norm": _finite(statistics.median(self.norms)),
            "largest_gradient_norm": _finite(float(torch.tensor(self.norms).max())),
            "explosions": sum(not norm < EXPLODES for norm in self.norms),
        }


def _finite(value: float) -> float | None:
    """The value, if it is a number: what exploded has none that could be compared, or written as JSON."""
    return value if math.isfinite(value) else None


def arms(symbols: int) -> list[Arm]:
    """The networks that are compared."""
    simple = SimpleRNN(EMBEDDING, HIDDEN, activation="relu", initialisation="identity")
    return [
        Arm("SimpleRNN", Stateful(symbols, simple)),
        Arm("LSTM", Stateful(symbols, LSTM(EMBEDDING, HIDDEN))),
        Arm("batch norm, LSTM", Stateful(symbols, BatchNorm(EMBEDDING), LSTM(EMBEDDING, HIDDEN))),
        Arm("batch norm, LSTM, the lesson's lanes",
            Stateful(symbols, BatchNorm(EMBEDDING), LSTM(EMBEDDING, HIDDEN)), shifted=True),
    ]  # fmt: skip


def draw(compared: list[Arm], folder: Path) -> Path:
    """The picture of losses and gradient norms."""
    colours = ("#b45309", "#1d4ed8", "#15803d", "#9ca3af")

    def losses(axes: Any) -> None:
        for arm, colour in zip(compared, colours, strict=True):
            axes.plot(range(1, len(arm.losses) + 1), arm.losses, "o-", color=colour, label=arm.name)
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss, nats a character")
        axes.set_ylim(1.2, 2.6)
        axes.legend(frameon=False, fontsize=8)

    def norms(axes: Any) -> None:
        for arm, colour in zip(compared, colours, strict=True):
            parts = torch.tensor(arm.norms).split(100)
            largest = [float(part.max()) for part in parts]
            axes.semilogy([100 * i for i in range(len(parts))], largest, color=colour, linewidth=1)
        axes.set_xlabel("step")
        axes.set_ylabel("largest gradient norm of 100 steps")

    title = "A state carried through the text: which layers learn, and which explode"
    return save_picture(folder / "lesson-stateful.png", title, losses, norms, size=(10.0, 4.5))


def run(settings: LessonSettings) -> Outcome:
    """Trains the four side by side."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    compared = arms(len(text.symbols))
    for arm in compared:
        arm.train(training, EPOCHS, settings)
    table = {arm.name: arm.row(held_out) for arm in compared}
    best = table["batch norm, LSTM"]
    return Outcome(
        figure=best["training"],
        held_out=best["held_out"],
        text=text.name,
        details=table,
        pictures=(draw(compared, settings.pictures),) if settings.pictures else (),
    )
