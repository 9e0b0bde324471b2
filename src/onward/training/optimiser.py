"""The optimisers of a run as one: rates that rise and fall, gradients clipped, state that can be saved."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from onward.model import LanguageModel
from onward.training.recipe import Recipe

BETAS = (0.9, 0.99)
FIRST_FALL = 40
"""The step before which no learning rate falls, and at which the number of steps is fixed."""


class RunOptimiser:
    """Muon for the matrices between layers and AdamW for the rest, or AdamW for all (torch's own).

    Embedding, readout, biases, gains and convolutions never go to Muon: the first two are tables whose rows
    are updated apart, and the others are no matrices (Jordan et al. 2024).
    """

    def __init__(self, model: LanguageModel, recipe: Recipe) -> None:
        self._parameters = list(model.parameters())
        self._clip = recipe.clip
        between = [
            p for name, p in model.stack.named_parameters() if p.ndim == 2 and "convolution" not in name
        ]
        chosen = set(map(id, between))
        rest = [p for p in self._parameters if id(p) not in chosen]
        plain = {"params": rest, "lr": recipe.rate, "weight_decay": 0.0}
        decay = recipe.weight_decay
        if recipe.optimiser == "muon":
            self._optimisers = [
                torch.optim.Muon(between, lr=recipe.muon_rate, weight_decay=decay),
                torch.optim.AdamW([plain], betas=BETAS, fused=True),
            ]
        else:
            matrices = {"params": between, "lr": recipe.rate, "weight_decay": decay}
            self._optimisers = [torch.optim.AdamW([matrices, plain], betas=BETAS, fused=True)]
        self._groups = [group for optimiser in self._optimisers for group in optimiser.param_groups]
        self._peaks = [group["lr"] for group in self._groups]

    def step(self, share: float, *, largest: float) -> float:
        """Clips the gradients, moves the weights at `share` of the peak rates, and drops the gradients.

        Returns:
            The norm of the gradients before clipping. Unless it is below `largest`, nothing was moved.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._clip))
        if norm < largest:
            for group, peak in zip(self._groups, self._peaks, strict=True):
                group["lr"] = peak * share
            for optimiser in self._optimisers:
                optimiser.step()
        self.drop_gradients()
        return norm

    def drop_gradients(self) -> None:
        """Forgets the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """What the optimisers remember, by "optimiser.parameter.name"."""
        return {
            f"{number}.{index}.{name}": value
            for number, optimiser in enumerate(self._optimisers)
            for index, memory in optimiser.state_dict()["state"].items()
            for name, value in memory.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Remembers what `tensors` gave; the tensors are copied."""
        for number, optimiser in enumerate(self._optimisers):
            memory: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                owner, index, name = key.split(".")
                if int(owner) == number:
                    memory.setdefault(int(index), {})[name] = value.clone()
            optimiser.load_state_dict({**optimiser.state_dict(), "state": memory})


def rate_share(recipe: Recipe, step: int, steps: int | None) -> float:
    """The share of the peak learning rates at a step, counted from 0.

    Rises linearly over `warm_up` steps, and stays at 1 until `FIRST_FALL` at least, which is early enough to
    know how many steps there will be; then falls to zero at the last step, "linear" or by a "cosine".
    """
    if step < recipe.warm_up:
        return (step + 1) / (recipe.warm_up + 1)
    flat = max(recipe.warm_up, FIRST_FALL)
    if steps is None or step < flat:
        return 1.0
    done = (step - flat) / max(1, steps - flat)
    return {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "none": 1.0}[recipe.decay]
