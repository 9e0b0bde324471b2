"""Rung `deep`: the network that wrote Nietzsche.

New here: **everything together, trained for longer**. The text is in lower case. The network has an
embedding of 24, batch norm, two LSTM layers of 512 with dropout of 0.2 on inputs and states, and a readout
at every step (like the lesson's TimeDistributed). The state is carried from block to block. A sample after
every epoch shows how the network learns to spell, to punctuate and to imitate the author.

Dropout on the state sets a fifth of the hidden-to-hidden weights to zero, chosen anew for each block (arXiv
1708.02182), so that the fused kernel can be used.

Expect about 1.3 nats per character on the held-out tenth after twenty minutes on two cores. A CUDA GPU is
used if there is one.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onward.data.lanes import Block, Lanes
from onward.inference.novelty.novelty import novelty
from onward.layers.lstm import LSTM
from onward.layers.state import State, detach
from onward.lesson.batch_norm import BatchNorm
from onward.lesson.fit import cross_entropy, evaluate_stream
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import LessonText, read_text
from onward.precision import Precision, in_precision, quick_precision

RUNG = Rung(
    name="deep",
    new="two LSTM layers with dropout, trained for longer, which write text",
    measure="loss on the held-out last tenth in one pass, nats per character",
    lesson=None,
    target=1.32,
    minutes=20.0,
    threads=2,
)
LANES, STEPS = 32, 128
EMBEDDING, HIDDEN, DROPOUT = 24, 512, 0.2
RATE, CLIP, WARM_UP = 3e-3, 1.0, 50
PRIME = "ethics is a basic foundation of all that"
SAMPLE = 320
REACHES = (50, 150, 500)
CLOSING = {"(": ")", "[": "]", '"': '"'}


class Deep(nn.Module):
    """Maps characters (T, B) and a state to logits (T, B, V) and the next state."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.norm = BatchNorm(EMBEDDING)
        self.layers = nn.ModuleList([LSTM(EMBEDDING, HIDDEN), LSTM(HIDDEN, HIDDEN)])
        self.dropout = nn.Dropout(DROPOUT)
        self.readout = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor, state: State) -> tuple[Tensor, State]:
        x, _ = self.norm(self.embedding(characters), ())  # (T, B, D)
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            weights = {"rnn.weight_hh_l0": self.dropout(layer.get_parameter("rnn.weight_hh_l0"))}
            x, new = torch.func.functional_call(layer, weights, (self.dropout(x), before))
            after.append(new)
        return self.readout(self.dropout(x)), tuple(after)

    def initial_state(self, lanes: int) -> State:
        return tuple(layer.initial_state(lanes) for layer in self.layers)  # type: ignore[operator]


class DeepTraining:
    """Trains the network epoch by epoch, with the `run_epochs(n)` of the lesson."""

    def __init__(self, text: LessonText, minutes: float, settings: LessonSettings) -> None:
        torch.manual_seed(settings.seed)
        self.text, self.settings = text, settings
        self.training, self.held_out = text.split(0.1)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision: Precision = quick_precision(self.device)
        self.network = Deep(len(text.symbols)).to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE, betas=(0.9, 0.99))
        self.lanes = Lanes(self.training.ids.numpy(), lanes=LANES, steps=STEPS)
        self.seconds, self.started, self.steps = 60 * minutes * settings.share, time.monotonic(), 0
        self.losses: list[float] = []
        self.samples: list[str] = []

    def run_epochs(self, count: int) -> float:
        """Trains for `count` epochs; returns the mean loss of the last one."""
        for _ in range(count):
            state, values = self.network.initial_state(LANES), []
            for _ in range(self.lanes.blocks_per_epoch):
                value, state = self.step(self.lanes.next(), state)
                values.append(value)
            self.losses.append(sum(values) / len(values))
            self.samples.append(write(self.network, self.text, PRIME, SAMPLE))
            self.settings.report(
                f"epoch {self.lanes.epoch}: {self.losses[-1]:.4f} nats per character\n{self.samples[-1]}\n"
            )
        return self.losses[-1]

    def step(self, block: Block, state: State) -> tuple[float, State]:
        """Trains on one block; returns loss and state. The learning rate falls with the time left."""
        self.network.train()
        left = max(0.01, 1 - (time.monotonic() - self.started) / self.seconds)
        self.steps += 1
        self.optimiser.param_groups[0]["lr"] = RATE * min(left, self.steps / WARM_UP)
        self.optimiser.zero_grad()
        with in_precision(self.device, self.precision):
            logits, state = self.network(block.x.to(self.device), detach(state))
        loss = cross_entropy(logits.float(), block.y.to(self.device))
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        return float(loss.detach()), state

    @property
    def is_over(self) -> bool:
        """Whether another epoch would take longer than the time left."""
        elapsed = time.monotonic() - self.started
        return elapsed + elapsed / max(1, self.lanes.epoch) > self.seconds


@torch.inference_mode()
def write(network: Deep, text: LessonText, prime: str, length: int, *, seed: int = 0) -> str:
    """Returns the prime, continued by a sample from the network."""
    network.eval()
    device = network.readout.weight.device
    random = torch.Generator().manual_seed(seed)
    logits, state = network(text.encode(prime)[:, None].to(device), network.initial_state(1))
    written = []
    for _ in range(length):
        drawn = torch.multinomial(logits[-1, 0].softmax(-1).cpu(), 1, generator=random)
        written.append(drawn)
        logits, state = network(drawn[None].to(device), state)
    return prime + text.decode(torch.cat(written))


def closed(text: str) -> dict[str, dict[str, float]]:
    """Returns the shares of quotes and brackets that are closed, by the distance of the closing mark.

    A mark counts as closed if its closing mark follows within the largest of `REACHES`, and before the same
    mark occurs again.
    """
    found: dict[str, Counter[str]] = {mark: Counter() for mark in CLOSING}
    for mark, closing in CLOSING.items():
        places = [match.start() for match in re.finditer(re.escape(mark), text)]
        opened = places[::2] if mark == closing else places
        for at in opened:
            end = text.find(closing, at + 1, at + 1 + REACHES[-1])
            again = text.find(mark, at + 1, end) if end >= 0 and mark != closing else -1
            reach = next((reach for reach in REACHES if 0 <= end - at <= reach), None)
            found[mark]["never" if reach is None or again >= 0 else f"within {reach}"] += 1
    return {
        mark: {name: number / counts.total() for name, number in sorted(counts.items())}
        for mark, counts in found.items()
        if counts
    }


def draw(losses: Sequence[float], shares: Mapping[str, Mapping[str, Any]], folder: Path) -> Path:
    """Plots the loss of each epoch, and the distances at which text and network close quotes and brackets."""

    def paint_losses(axes: Any) -> None:
        axes.plot(range(1, len(losses) + 1), losses, "o-", color="#2f6f4f")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss, nats per character")

    def paint_closed(axes: Any) -> None:
        columns = [(mark, writer) for writer in shares for mark in shares[writer]]
        columns.sort(key=lambda column: list(CLOSING).index(column[0]))
        bottoms = [0.0] * len(columns)
        names = [*(f"within {reach}" for reach in REACHES), "never"]
        for name, colour in zip(names, ("#14532d", "#3f8f63", "#a7d3b8", "#e5e7eb"), strict=True):
            heights = [shares[writer][mark].get(name, 0.0) for mark, writer in columns]
            axes.bar(range(len(columns)), heights, 0.7, bottoms, color=colour, label=name)
            bottoms = [low + height for low, height in zip(bottoms, heights, strict=True)]
        axes.set_xticks(
            range(len(columns)), [f"{mark} {CLOSING[mark]}\n{writer}" for mark, writer in columns]
        )
        axes.set_ylabel("share of opened marks that are closed")
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))

    title = "The loss of each epoch, and the distance at which quotes and brackets are closed"
    return save_picture(folder / "lesson-deep.png", title, paint_losses, paint_closed, size=(10.0, 4.5))


def run(settings: LessonSettings) -> Outcome:
    """Trains for the rung's minutes, and analyses a text that the network writes."""
    started = time.monotonic()
    training = DeepTraining(read_text(lower=True), RUNG.minutes - 0.5, settings)
    loss = training.run_epochs(1)
    while not training.is_over:
        loss = training.run_epochs(1)
    written = write(training.network, training.text, PRIME, 4000 if settings.share == 1 else SAMPLE)
    copied = novelty(written[len(PRIME) :], training.text.name, lower=True, longest=3)
    shares = {"network": closed(written), "text": closed(training.text.decode(training.training.ids))}
    details: dict[str, Any] = {
        "training_loss": loss,
        "epochs": training.lanes.epoch,
        "precision": training.precision,
        "seconds": time.monotonic() - started,
        "share of quotes and brackets closed within a number of characters": shares,
        "novelty": {
            "copied_share": copied.share,
            "longest_copied_spans": [span.text for span in copied.spans],
        },
        "sample": written[:SAMPLE],
    }
    held_out = evaluate_stream(
        training.network, training.network.initial_state(1), training.held_out.ids, training.device
    )
    return Outcome(
        figure=held_out,
        held_out=held_out,
        text=training.text.name,
        details=details,
        pictures=(draw(training.losses, shares, settings.pictures),) if settings.pictures else (),
    )
