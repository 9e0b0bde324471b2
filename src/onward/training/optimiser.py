"""The optimisers of a run as one: rates that rise and fall, gradients clipped, state that can be saved."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from onward.errors import ArtefactError
from onward.model import LanguageModel
from onward.training.checkpoint import ANEW
from onward.training.muon import Muon
from onward.training.plan import level_until
from onward.training.recipe import Recipe

BETAS = (0.9, 0.99)


class RunOptimiser:
    """Muon for the matrices between layers and AdamW (torch's own) for the rest, or AdamW for all.

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
                Muon(between, lr=recipe.muon_rate, weight_decay=decay),
                torch.optim.AdamW([plain], betas=BETAS, fused=True),
            ]
        else:
            matrices = {"params": between, "lr": recipe.rate, "weight_decay": decay}
            self._optimisers = [torch.optim.AdamW([matrices, plain], betas=BETAS, fused=True)]
        self._peaks = [group["lr"] for group in self._groups()]

    def step(self, share: float, *, largest: float) -> float:
        """Clips the gradients, moves the weights at `share` of the peak rates, and drops the gradients.

        Returns:
            The norm of the gradients before clipping. Unless it is below `largest`, nothing was moved.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._clip))
        if norm < largest:
            for group, peak in zip(self._groups(), self._peaks, strict=True):
                group["lr"] = peak * share
            for optimiser in self._optimisers:
                optimiser.step()
        self.drop_gradients()
        return norm

    def _groups(self) -> list[dict[str, Any]]:
        """The groups of all optimisers: asked for each time, since `load_state_dict` makes new ones."""
        return [group for optimiser in self._optimisers for group in optimiser.param_groups]

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
        """Remembers what `tensors` gave; the tensors are copied.

        Raises:
            ArtefactError: they are not of these optimisers.
        """
        memories: list[dict[int, dict[str, Tensor]]] = [{} for _ in self._optimisers]
        try:
            for key, value in tensors.items():
                number, index, name = key.split(".")
                moved = [
                    weight
                    for group in self._optimisers[int(number)].param_groups
                    for weight in group["params"]
                ]
                expected = moved[int(index)].shape
                if value.dtype != torch.float32 or value.shape not in (expected, ()):
                    raise ValueError(
                        f"{key} should be {tuple(expected)}, found {tuple(value.shape)} in {value.dtype}"
                    )
                memories[int(number)].setdefault(int(index), {})[name] = value.clone()
        except (ValueError, IndexError) as error:
            raise ArtefactError(
                f"the checkpoint's optimiser is not of this run: {error}", hint=ANEW
            ) from error
        for optimiser, memory in zip(self._optimisers, memories, strict=True):
            optimiser.load_state_dict({**optimiser.state_dict(), "state": memory})


def rate_share(recipe: Recipe, step: int, steps: int | None) -> float:
    """The share of the peak learning rates at a step, counted from 0.

    The smaller of two lines: one rises over `warm_up` steps; the other stays at 1 until `plan.level_until`,
    then falls to zero behind the last step, "linear" or by a "cosine". While the number of steps is not
    known there is only the first, which is what the second will turn out not to have been below.
    """
    rise = min(1.0, (step + 1) / (recipe.warm_up + 1))
    if steps is None:
        return rise
    level = level_until(recipe.warm_up, steps)
    done = max(0.0, (step - level) / max(1, steps - level))
    fall = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "none": 1.0}[recipe.decay]
    return min(rise, fall)
