"""The optimisers of a run behind one interface, with learning-rate schedule, clipping, and saved state."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from onward.errors import ArtefactError
from onward.model import LanguageModel
from onward.printable import shown_value
from onward.training.checkpoint import START_AGAIN
from onward.training.recipe import Recipe
from onward.training.schedule import Schedule

BETAS = (0.9, 0.99)
MOMENTUM = 0.95
_STATE_NAMES: dict[type, tuple[str, ...]] = {
    torch.optim.Muon: ("momentum_buffer",),
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
}
"""The tensors that each optimiser keeps for a weight, once it has made a step."""
LARGE = 1 << 16
"""Minimum number of elements of a model's largest matrix for its matrices to be updated at the same time. The
operations on smaller matrices are so short that Python's threads would wait for each other."""


class RunOptimiser:
    """Muon for the matrices between layers and AdamW for all other weights, or AdamW for all.

    Muon never updates the embedding, the readout, biases, gains and convolutions. The first two are tables
    whose rows are updated independently, and the others are not matrices (Jordan et al. 2024).

    Muon updates a matrix with dozens of small operations. If PyTorch divided each of them among its threads,
    waking the threads would take as long as the work. So each optimiser runs on one thread. Large matrices
    have an optimiser each, and several of these run at the same time.
    """

    def __init__(self, model: LanguageModel, recipe: Recipe) -> None:
        self._parameters = list(model.parameters())
        self._clip = recipe.clip
        matrices = [
            p for name, p in model.stack.named_parameters() if p.ndim == 2 and "convolution" not in name
        ]
        chosen = set(map(id, matrices))
        rest = [p for p in self._parameters if id(p) not in chosen]
        without_decay = {"params": rest, "lr": recipe.rate, "weight_decay": 0.0}
        decay = recipe.weight_decay
        are_large = max(matrix.numel() for matrix in matrices) >= LARGE
        if recipe.optimiser == "muon":
            groups = [[matrix] for matrix in matrices] if are_large else [matrices]
            self._optimisers = [
                *(
                    torch.optim.Muon(group, lr=recipe.muon_rate, weight_decay=decay, momentum=MOMENTUM)
                    for group in groups
                ),
                torch.optim.AdamW([without_decay], betas=BETAS, fused=True),
            ]
        else:
            with_decay = {"params": matrices, "lr": recipe.rate, "weight_decay": decay}
            self._optimisers = [torch.optim.AdamW([with_decay, without_decay], betas=BETAS, fused=True)]
        self._peaks = [group["lr"] for group in self._groups()]
        on_cpu = all(p.device.type == "cpu" for p in self._parameters)
        self._pool = ThreadPoolExecutor(torch.get_num_threads()) if are_large and on_cpu else None

    def step(self, share: float, *, largest: float) -> float:
        """Clips the gradients, updates the weights, and deletes the gradients.

        Args:
            share: the learning rates, as a share of their peaks.
            largest: if the norm of the gradients is not below this, the weights are not updated.

        Returns:
            The norm of the gradients before clipping.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._clip))
        if norm < largest:
            for group, peak in zip(self._groups(), self._peaks, strict=True):
                group["lr"] = peak * share
            self._run_optimisers()
        self.drop_gradients()
        return norm

    def _run_optimisers(self) -> None:
        threads = torch.get_num_threads()
        run = self._pool.map if self._pool and threads > 1 else map
        try:
            for _ in run(_step_on_one_thread, self._optimisers):
                pass
        finally:
            torch.set_num_threads(threads)

    def _groups(self) -> list[dict[str, Any]]:
        """Returns the parameter groups of all optimisers, which `load_state_dict` replaces."""
        return [group for optimiser in self._optimisers for group in optimiser.param_groups]

    def drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Returns the state of the optimisers, by "optimiser.parameter.name"."""
        return {
            f"{number}.{index}.{name}": value
            for number, optimiser in enumerate(self._optimisers)
            for index, state in optimiser.state_dict()["state"].items()
            for name, value in state.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores a state that `tensors` returned; the tensors are copied.

        Raises:
            ArtefactError: the state belongs to other optimisers.
        """
        rest = dict(tensors)
        for number, optimiser in enumerate(self._optimisers):
            weights = [weight for group in optimiser.param_groups for weight in group["params"]]
            found = {i: _take_state(rest, f"{number}.{i}.", optimiser, w) for i, w in enumerate(weights)}
            state = {index: part for index, part in found.items() if part}
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        if rest:
            raise _does_not_fit(f"there is a tensor {shown_value(min(rest))}")


def _take_state(
    tensors: dict[str, Tensor], prefix: str, optimiser: torch.optim.Optimizer, weight: Tensor
) -> dict[str, Tensor]:
    """Removes the state of a weight from tensors, and returns a copy: it is whole, or empty.

    Raises:
        ArtefactError: a part is missing, or has another shape or type.
    """
    names = _STATE_NAMES[type(optimiser)]
    found = {name: tensors.pop(prefix + name) for name in names if prefix + name in tensors}
    for name in names if found else ():
        shape, value = () if name == "step" else weight.shape, found.get(name)
        if value is None or value.shape != shape or value.dtype != torch.float32:
            got = "nothing" if value is None else f"{tuple(value.shape)} in {value.dtype}"
            raise _does_not_fit(f"expected {prefix}{name} to be {tuple(shape)} in torch.float32, got {got}")
    return {name: value.clone() for name, value in found.items()}


def _does_not_fit(reason: str) -> ArtefactError:
    message = f"the optimiser state in the checkpoint does not fit this run: {reason}"
    return ArtefactError(message, hint=START_AGAIN)


def _step_on_one_thread(optimiser: torch.optim.Optimizer) -> None:
    torch.set_num_threads(1)  # of the calling thread
    optimiser.step()


def rate_share(recipe: Recipe, step: int, schedule: Schedule) -> float:
    """Returns the learning rates at a step, as a share of their peaks.

    The share is the smaller of two values. One rises to 1 over `warm_up` steps. The other falls from 1 to 0
    over the run, linearly or as a cosine.

    Args:
        recipe: the recipe, with `warm_up` and `decay`.
        step: the step, counted from 0.
        schedule: the progress of the run.
    """
    rise = min(1.0, (step + 1) / (recipe.warm_up + 1))
    done = schedule.progress(step)
    fall = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "none": 1.0}[recipe.decay]
    return min(rise, fall)
