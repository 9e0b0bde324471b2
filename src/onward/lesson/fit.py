"""The training loop of the rungs, which does the same as `model.fit` in the lesson."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from onward.data.lanes import as_stream
from onward.lesson.rung import LessonSettings

BATCH, RATE = 64, 1e-3
"""Examples in a batch, and the learning rate of Adam, as in the lesson."""

ExampleBatch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
"""A function that returns the mean loss of a batch in nats, from its outputs and targets."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean loss of targets (...) in nats, under logits (..., V)."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def shuffled_batches(x: Tensor, y: Tensor, size: int, generator: torch.Generator) -> Iterator[ExampleBatch]:
    """Yields the examples of x (N, ...) and y (N, ...) in random order, in batches of `size`."""
    for rows in torch.randperm(len(x), generator=generator).split(size):
        yield x[rows], y[rows]


def epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Iterable[ExampleBatch],
    loss: Loss = cross_entropy,
) -> float:
    """Trains for one pass over the batches.

    Returns:
        The mean of the losses of the batches, each before its update. The lesson printed the same mean.
    """
    network.train()
    total, count = 0.0, 0
    for x, y in batches:
        optimiser.zero_grad()
        value = loss(network(x), y)
        value.backward()
        optimiser.step()
        total, count = total + float(value.detach()), count + 1
    return total / count


def fit(
    network: nn.Module, x: Tensor, y: Tensor, epochs: int, settings: LessonSettings, *, falls: bool = False
) -> float:
    """Trains on shuffled examples x (N, ...) with targets y (N, ...); returns the loss of the last epoch.

    The learning rate is constant as in the lesson, or `falls` to zero in the second half of the epochs.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(settings.seed)
    loss, epochs = 0.0, settings.scaled(epochs)
    for number in range(epochs):
        if falls:
            optimiser.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - number / epochs))
        loss = epoch(network, optimiser, shuffled_batches(x, y, BATCH, generator))
        settings.report(f"epoch {number + 1}: {loss:.4f} nats per character")
    return loss


@torch.inference_mode()
def evaluate(network: nn.Module, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> float:
    """Returns the mean loss on held-out examples, in evaluation mode."""
    network.eval()
    parts = [(loss(network(a), b).item(), len(a)) for a, b in zip(x.split(4096), y.split(4096), strict=True)]
    return sum(value * size for value, size in parts) / len(x)


@torch.inference_mode()
def evaluate_stream(network: Any, state: Any, ids: Tensor, device: torch.device | None = None) -> float:
    """Returns the mean loss of a text in evaluation mode. The text is read in one pass with one state.

    Args:
        network: `network(characters (T, 1), state) -> (logits (T, 1, V), state)`.
        state: the initial state of one lane.
        ids: the text, (N,).
        device: the device of the network; the CPU by default.
    """
    network.eval()
    x, y = (part.to(device) for part in as_stream(ids.numpy()))
    total = 0.0
    for a, b in zip(x.split(1024), y.split(1024), strict=True):
        logits, state = network(a, state)
        total += float(cross_entropy(logits, b)) * len(a)
    return total / len(y)
