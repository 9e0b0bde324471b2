"""A run between two steps: what a step does, and all that must be kept to do the next one exactly."""

import math
import time
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from onward.artefact import set_weights, weights_of
from onward.data.lanes import Block, Lanes
from onward.errors import ArtefactError
from onward.layers.state import State, detach, tensors_of, with_tensors
from onward.model import LanguageModel, losses
from onward.training.checkpoint import Checkpoint
from onward.training.optimiser import RunOptimiser, rate_share
from onward.training.recipe import Recipe

EXPLODED = 1e4
"""A gradient norm this many times the clipping norm is treated like one that is not finite."""


class Trainer:
    """Truncated back-propagation through time over lanes, with carried state.

    Attributes:
        step: steps made.
        steps: steps that the run will have; None while that is not known.
        rate_scale: what all learning rates are multiplied by; halved by each roll-back.
        best: the lowest validation loss so far, nats per symbol.
        best_step: where it was.
        symbols: trained on so far.
    """

    def __init__(self, model: LanguageModel, lanes: Lanes, recipe: Recipe, *, precision: str) -> None:
        self.model, self.lanes, self.recipe, self.precision = model, lanes, recipe, precision
        self.optimiser = RunOptimiser(model, recipe)
        self.state: State = model.initial_state(lanes.lanes)
        self.step, self.symbols = 0, 0
        self.steps: int | None = None
        self.rate_scale = 1.0
        self.best, self.best_step = math.inf, 0
        self._best_weights: dict[str, Tensor] = {}

    def autocast(self) -> AbstractContextManager:
        """The precision of this run's matrix products."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16")

    def advance(self) -> tuple[float, float, bool]:
        """One step.

        Returns:
            The mean loss of the block in nats per symbol, the gradient norm, and whether an epoch began.
            Unless both are finite and the norm is below `EXPLODED` times the clipping norm, the weights were
            not moved, and the run cannot go on from here.
        """
        block = self.lanes.next()
        if block.start:
            self.state = self.model.initial_state(self.lanes.lanes)
        nats = self._backward(block)
        share = self.rate_scale * rate_share(self.recipe, self.step, self.steps)
        norm = self.optimiser.step(share, largest=EXPLODED * self.recipe.clip)
        self.step += 1
        self.symbols += block.y.numel()
        return nats, norm, block.start

    def _backward(self, block: Block) -> float:
        """Leaves the gradients of a block's mean loss in the weights, and carries the state on."""
        with self.autocast():
            logits, state = self.model(block.x, self.state)
        self.state = detach(state)
        loss = losses(logits, block.y).mean()
        loss.backward()
        return float(loss.detach())

    def seconds_of_block(self, block: Block, precision: str) -> float:
        """How long forward and backward of a block take in a precision; leaves nothing behind."""
        kept, self.precision, state = self.precision, precision, self.state
        with torch.random.fork_rng(devices=[]):
            started = time.perf_counter()
            self._backward(block)
            seconds = time.perf_counter() - started
        self.optimiser.drop_gradients()
        self.precision, self.state = kept, state
        return seconds

    def keep_if_best(self, nats_per_symbol: float) -> bool:
        """Keeps the weights as the best if their validation loss is the lowest so far."""
        if not nats_per_symbol < self.best:
            return False
        self.best, self.best_step = nats_per_symbol, self.step
        self._best_weights = _copies(weights_of(self.model))
        return True

    def use_best(self) -> None:
        """Makes the best weights the model's, where validation chose any."""
        if self._best_weights:
            set_weights(self.model, self._best_weights)

    def snapshot(self) -> Checkpoint:
        """All of this run, copied."""
        tensors = {
            "random": torch.get_rng_state(),
            **_prefixed("weights", weights_of(self.model)),
            **_prefixed("best", self._best_weights),
            **_prefixed("optimiser", self.optimiser.tensors()),
            **_prefixed("state", {str(i): part for i, part in enumerate(tensors_of(self.state))}),
        }
        facts = {
            "step": self.step,
            "steps": self.steps,
            "symbols": self.symbols,
            "rate_scale": self.rate_scale,
            "best": self.best if math.isfinite(self.best) else None,
            "best_step": self.best_step,
            "precision": self.precision,
            "position": self.lanes.position,
        }
        return Checkpoint(_copies(tensors), facts)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes to the moment of a snapshot of the same recipe and corpus.

        Raises:
            ArtefactError: the snapshot lacks something.
        """
        try:
            tensors, facts = checkpoint.tensors, checkpoint.facts
            self.model.load_state_dict(_named("weights", tensors), strict=not self.model.config.tied)
            self._best_weights = _copies(_named("best", tensors))
            self.optimiser.restore(_named("optimiser", tensors))
            parts = _named("state", tensors)
            kept = iter([parts[str(i)].clone() for i in range(len(parts))])
            self.state = with_tensors(self.model.initial_state(self.lanes.lanes), kept)
            torch.set_rng_state(tensors["random"])
            self.step, self.steps, self.symbols = facts["step"], facts["steps"], facts["symbols"]
            self.rate_scale, self.precision = facts["rate_scale"], facts["precision"]
            self.best = math.inf if facts["best"] is None else facts["best"]
            self.best_step = facts["best_step"]
            self.lanes.move(facts["position"])
        except (KeyError, RuntimeError, StopIteration) as error:
            raise ArtefactError(f"the checkpoint is not of this run: {error}") from error


def _prefixed(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, their names behind that of their group."""
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def _named(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a group, by their own names."""
    return {key.removeprefix(f"{group}/"): t for key, t in tensors.items() if key.startswith(f"{group}/")}


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same values in memory of their own."""
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
