"""Trains a classifier on a mix of labelled examples."""

from collections import deque
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from onward.checks import checked_dataclass
from onward.classify.batches import ExampleSource
from onward.classify.mix import MixIterator
from onward.errors import DivergedError, RecipeError
from onward.threads import explain_fork_errors

CHECK_EVERY = 100
"""Steps between two checks that the loss is finite."""


@checked_dataclass(RecipeError, kw_only=True)
class ClassifierTraining:
    """Trains with AdamW. The learning rate rises for a tenth of the steps and then falls to zero.

    Call it as `training(model, sources, shares)` to train a model in place.

    Attributes:
        steps: number of batches.
        batch: examples in a batch.
        rate: peak learning rate.
        weight_decay: weight decay of AdamW.
        clip: largest norm of the gradients; larger ones are clipped.
        seed: seed of the order of examples. The weights and dropout depend on torch's own seed.

    Raises:
        RecipeError: a value has the wrong type or is out of range.
    """

    steps: Annotated[int, Field(ge=1)] = 1000
    batch: Annotated[int, Field(ge=1)] = 64
    rate: Annotated[float, Field(gt=0.0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    clip: Annotated[float, Field(gt=0.0)] = 1.0
    seed: int = 0

    @explain_fork_errors()
    def __call__(
        self, model: nn.Module, sources: Sequence[ExampleSource], shares: Sequence[float | int]
    ) -> float:
        """Trains on a mix of sources of (x, y), where y is a label or a probability for each label.

        Args:
            model: returns logits (B, C) for x. It is left in training mode.
            sources: as for `MixIterator`.
            shares: as for `MixIterator`.

        Returns:
            The mean loss of the last tenth of the steps, in nats per example.

        Raises:
            DivergedError: the loss is no longer finite.
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
            if (last or step % CHECK_EVERY == CHECK_EVERY - 1) and not torch.isfinite(loss):
                raise DivergedError(
                    f"the loss of the classifier is {loss.item()} after {step + 1} steps",
                    hint=f"use a rate below {self.rate:g}",
                )
        return float(torch.stack([*recent]).mean())
