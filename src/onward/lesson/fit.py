"""The training loop of the rungs: what the lesson's `model.fit` did, and nothing else."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from onward.data.lanes import as_stream
from onward.lesson.rung import LessonSettings

BATCH, RATE = 64, 1e-3
"""The lesson's: samples in a batch, and the learning rate of Adam."""

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
"""The mean loss in nats of a batch's outputs and targets."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean nats of the targets (...), under logits (..., V)."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def shuffled(x: Tensor, y: Tensor, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """The samples of x (N, ...) and y (N, ...) in a new order, `size` at a time."""
    for rows in torch.randperm(len(x), generator=generator).split(size):
        yield x[rows], y[rows]


def epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterable[Batch], loss: Loss = cross_entropy
) -> float:
    """One pass of training.

    Returns:
        What the lesson printed: the mean over the batches of the loss that each gave before its update.
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
    """Trains on samples x (N, ...) with targets y (N, ...), shuffled; returns the loss of the last epoch.

    The rate is the lesson's all the way, or `falls` towards zero in the second half of the epochs.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(settings.seed)
    loss, epochs = 0.0, settings.of(epochs)
    for number in range(epochs):
        if falls:
            optimiser.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - number / epochs))
        loss = epoch(network, optimiser, shuffled(x, y, BATCH, generator))
        settings.say(f"epoch {number + 1}: {loss:.4f} nats a character")
    return loss


@torch.inference_mode()
def judge(network: nn.Module, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> float:
    """The mean loss on samples that were held out, in evaluation mode."""
    network.eval()
    parts = [(loss(network(a), b).item(), len(a)) for a, b in zip(x.split(4096), y.split(4096), strict=True)]
    return sum(value * size for value, size in parts) / len(x)


@torch.inference_mode()
def judge_stream(network: Any, state: Any, ids: Tensor, device: torch.device | None = None) -> float:
    """The mean loss of a text (N,) read in one pass, the state carried throughout, in evaluation mode.

    Args:
        network: `network(characters (T, 1), state) -> (logits (T, 1, V), state)`.
        state: the initial one, of one lane.
        ids: of the text.
        device: of the network; by default the CPU.
    """
    network.eval()
    x, y = (part.to(device) for part in as_stream(ids.numpy()))
    total = 0.0
    for a, b in zip(x.split(1024), y.split(1024), strict=True):
        logits, state = network(a, state)
        total += float(cross_entropy(logits, b)) * len(a)
    return total / len(y)
