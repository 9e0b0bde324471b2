"""Muon: momentum whose matrices are made nearly orthogonal before they move the weights."""

# pyright: reportIncompatibleMethodOverride=false
# (torch declares `step` for optimisers that call a closure, too)

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATIONS = 5
QUINTIC = 3.4445, -4.7750, 2.0315
"""a, b and c of x <- a x + b x^3 + c x^5, which takes singular values to about 1 (Jordan et al. 2024)."""


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised by Newton-Schulz iterations in bfloat16 (Jordan et al. 2024).

    Computes what `torch.optim.Muon` does, to rounding. Matrices of one shape, lying or standing, go through
    the iterations together, and a product takes its addend in on the diagonal: a quarter less time.

    Args:
        matrices: the weights, each (M, N).
        lr: learning rate of a square matrix; one that stands, M > N, has sqrt(M / N) times as much.
        weight_decay: share of a weight that goes in each step, times the rate.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Moves the weights that have gradients."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(tuple(sorted(weight.shape)), []).append(weight)
            for weights in alike.values():
                self._move(weights, group["lr"], group["weight_decay"])

    def _move(self, weights: list[nn.Parameter], rate: float, decay: float) -> None:
        """A step of weights whose shapes are alike but for their transposition."""
        ahead = []
        for weight in weights:
            assert weight.grad is not None
            memory = self._memory(weight).lerp_(weight.grad, 1 - MOMENTUM)
            ahead.append(_lying(weight.grad.lerp(memory, MOMENTUM)).bfloat16())
        updates = orthogonal(torch.stack(ahead))
        for weight, update in zip(weights, updates, strict=True):
            high, wide = weight.shape
            weight.mul_(1 - rate * decay)
            weight.add_(update if high <= wide else update.T, alpha=-rate * math.sqrt(max(1.0, high / wide)))

    def _memory(self, weight: nn.Parameter) -> Tensor:
        """The momentum of a weight, zeros before its first step."""
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        return state["momentum_buffer"]


def orthogonal(x: Tensor) -> Tensor:
    """Matrices (N, S, F) in bfloat16, S <= F, with all singular values moved to about 1, 0.7 to 1.2."""
    a, b, c = QUINTIC
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = torch.bmm(x, x.mT)
        factor = torch.bmm(gram, gram).mul_(c).add_(gram, alpha=b)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        x = torch.bmm(factor, x)
    return x


def _lying(matrix: Tensor) -> Tensor:
    """The matrix, or its transpose, with no more rows than columns."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
