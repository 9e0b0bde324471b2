"""Training of a classifier: samples in, one label each out."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onward.classify.batches import Source
from onward.classify.mix import MixIterator
from onward.errors import DivergedError, RecipeError

CHECKED = 100
"""Steps between two looks at the loss."""


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """How a classifier is trained: AdamW, at a rate that rises for a tenth of the steps and falls to zero.

    Called as `training(model, sources, shares)`, it trains the model in place.

    Attributes:
        steps: batches to train on.
        batch: samples in each.
        rate: the largest learning rate.
        weight_decay: AdamW's.
        clip: the largest norm of the gradients.
        seed: of the order of the samples; that of weights and dropout is torch's own.
    """

    steps: int = 1000
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that nothing can be trained with."""
        for name in ("steps", "batch", "rate", "clip"):
            value, whole = getattr(self, name), name in ("steps", "batch")
            if isinstance(value, bool) or not value > 0 or (whole and not isinstance(value, int)):
                kind = "a whole number above zero" if whole else "a number above zero"
                raise RecipeError(f"{name} must be {kind}, got {value!r}")

    def __call__(self, model: nn.Module, sources: Sequence[Source], shares: Sequence[float | int]) -> float:
        """Trains on a mix of sources of (x, y): y a label, or a probability for each label.

        Args:
            model: gives logits (B, C) for x; it is left in training mode.
            sources, shares: as `MixIterator` takes them.

        Returns:
            The mean loss of the last tenth of the steps, nats a sample.

        Raises:
            DivergedError: the loss left the finite numbers.
        """
        mix = MixIterator(sources, self.batch, shares, seed=self.seed)
        optimiser = torch.optim.AdamW(model.parameters(), lr=self.rate, weight_decay=self.weight_decay)
        rise = max(1, self.steps // 10)
        device = next(model.parameters()).device
        recent: deque[Tensor] = deque(maxlen=rise)
        model.train()
        for step in range(self.steps):
            x, y = next(mix)
            share = min((step + 1) / rise, (self.steps - step) / max(1, self.steps - rise))
            optimiser.param_groups[0]["lr"] = self.rate * share
            loss = nn.functional.cross_entropy(model(x.to(device)).float(), y.to(device))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), self.clip)
            optimiser.step()
            recent.append(loss.detach())
            last = step == self.steps - 1
            if (last or step % CHECKED == CHECKED - 1) and not torch.isfinite(loss):
                raise DivergedError(
                    f"the loss of the classifier is {loss.item()} after {step + 1} steps",
                    hint=f"take a lower rate than {self.rate:g}",
                )
        return float(torch.stack([*recent]).mean())
