"""The training loop of the rungs: what the lesson's `model.fit` did, and nothing else."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

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


@torch.inference_mode()
def judge(network: nn.Module, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> float:
    """The mean loss on samples that were held out, in evaluation mode."""
    network.eval()
    parts = [(loss(network(a), b).item(), len(a)) for a, b in zip(x.split(4096), y.split(4096), strict=True)]
    return sum(value * size for value, size in parts) / len(x)
