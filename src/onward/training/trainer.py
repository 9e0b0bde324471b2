"""A run between two steps: what a step does, and all that must be kept to do the next one exactly."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from onward.allocator import keep_freed_memory
from onward.artefact import weights_of
from onward.data.lanes import Block, Blocks
from onward.layers.state import State, detach, tensors_of, with_tensors
from onward.model import LanguageModel, losses
from onward.training.checkpoint import Checkpoint, check_tensors, group_of, grouped, take
from onward.training.optimiser import RunOptimiser, rate_share
from onward.training.recipe import Recipe

EXPLODED = 1e4
"""A gradient norm this many times the clipping norm is treated like one that is not finite."""


class StepResult(NamedTuple):
    """What a step found.

    Attributes:
        nats_per_symbol: mean loss of the block, before the update.
        gradient_norm: before clipping.
        epoch: the epoch, counted from 1, that began with this step; None in the midst of one.
    """

    nats_per_symbol: float
    gradient_norm: float
    epoch: int | None


class Trainer:
    """Truncated back-propagation through time over lanes, with carried state.

    From the first on, the process keeps the memory that it frees (see `allocator`).

    Args:
        model: in training mode; where it lies, on the CPU or a GPU, it is trained.
        lanes: what it is trained on.
        recipe: how.
        precision: of the matrix products, "bf16" or "fp32".

    Attributes:
        device: of the model.
        step: steps made.
        symbols: trained on so far.
        steps: steps that the run will have; None while that is not known.
        rate_scale: what all learning rates are multiplied by; halved by each roll-back.
    """

    def __init__(self, model: LanguageModel, lanes: Blocks, recipe: Recipe, *, precision: str) -> None:
        self.model, self.lanes, self.recipe, self.precision = model, lanes, recipe, precision
        self.device = next(model.parameters()).device
        keep_freed_memory()
        self.optimiser = RunOptimiser(model, recipe)
        self.state: State = model.initial_state(lanes.lanes)
        self.step, self.symbols = 0, 0
        self.steps: int | None = None
        self.rate_scale = 1.0

    def advance(self) -> StepResult:
        """One step.

        Unless the loss is finite and the gradient norm is below `EXPLODED` times the clipping norm, the
        weights were not moved, and the run cannot go on from here.
        """
        epoch = self.lanes.epoch + 1 if self.lanes.position["offset"] == 0 else None
        block = self.lanes.next()
        if block.start:
            self.state = self.model.initial_state(self.lanes.lanes)
        nats = self._backward(block)
        share = self.rate_scale * rate_share(self.recipe, self.step, self.steps)
        norm = self.optimiser.step(share, largest=EXPLODED * self.recipe.clip)
        self.step += 1
        self.symbols += _targets(block)
        return StepResult(nats, norm, epoch)

    @contextmanager
    def evaluated(self) -> Iterator[LanguageModel]:
        """The model as it would be saved now, in evaluation mode and in this run's precision.

        Whatever is done with it within the block, training goes on as if it had not been.
        """
        with forked_random(self.device), self._autocast():
            self.model.eval()
            try:
                yield self.model
            finally:
                self.model.train()

    def seconds_of_block(self, block: Block, precision: str) -> float:
        """How long forward and backward of a block take in a precision; leaves nothing behind."""
        kept, self.precision, state = self.precision, precision, self.state
        with forked_random(self.device):
            started = time.perf_counter()
            self._backward(block)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            seconds = time.perf_counter() - started
        self.optimiser.drop_gradients()
        self.precision, self.state = kept, state
        return seconds

    def snapshot(self) -> Checkpoint:
        """All of this run but its best weights, copied."""
        facts = {
            "step": self.step,
            "steps": self.steps,
            "symbols": self.symbols,
            "rate_scale": self.rate_scale,
            "precision": self.precision,
            "position": self.lanes.position,
        }
        tensors = {**self._fixed_tensors(), **grouped("optimiser", self.optimiser.tensors())}
        return Checkpoint({name: tensor.detach().clone() for name, tensor in tensors.items()}, facts)

    def restore(self, moment: Checkpoint) -> None:
        """Goes to the moment of a snapshot of the same recipe and corpus; its tensors are copied.

        Raises:
            ArtefactError: the snapshot is not one of such a run.
            CorpusError: its place in the corpus does not exist.
        """
        tensors, facts = moment.tensors, moment.facts
        memory = group_of("optimiser", tensors)
        check_tensors(
            {k: t for k, t in tensors.items() if not k.startswith("optimiser/")}, self._fixed_tensors()
        )
        position = take(facts, "position", dict)
        self.lanes.move({name: take(position, name, int) for name in ("epoch", "offset")})
        self.step, self.symbols = take(facts, "step", int), take(facts, "symbols", int)
        self.steps = None if facts.get("steps") is None else take(facts, "steps", int)
        self.rate_scale, self.precision = take(facts, "rate_scale", float), take(facts, "precision", str)
        self.optimiser.restore(memory)
        self.model.load_state_dict(group_of("weights", tensors), strict=not self.model.config.tied)
        parts = group_of("state", tensors)
        self.state = with_tensors(
            self.state, iter([parts[str(i)].to(self.device, copy=True) for i in range(len(parts))])
        )
        torch.set_rng_state(tensors["random"].clone())
        if "random of device" in tensors:
            torch.cuda.set_rng_state(tensors["random of device"].clone(), self.device)

    def _fixed_tensors(self) -> dict[str, Tensor]:
        """The tensors whose number and shapes no step changes."""
        on_gpu = self.device.type == "cuda"
        return {
            "random": torch.get_rng_state(),
            **({"random of device": torch.cuda.get_rng_state(self.device)} if on_gpu else {}),
            **grouped("weights", weights_of(self.model)),
            **grouped("state", {str(i): part for i, part in enumerate(tensors_of(self.state))}),
        }

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _backward(self, block: Block) -> float:
        """Leaves the gradients of a block's mean loss in the weights, and carries the state on."""
        with self._autocast():
            logits, state = self.model(block.x.to(self.device), self.state)
        self.state = detach(state)
        padding = block.y.numel() / max(1, _targets(block))  # exactly 1 where there is none
        loss = losses(logits, block.y.to(self.device)).mean() * padding
        loss.backward()
        return float(loss.detach())


def _targets(block: Block) -> int:
    """Symbols that a block predicts."""
    return int((block.y >= 0).sum())


def forked_random(device: torch.device) -> AbstractContextManager:
    """Within the block random numbers may be drawn; after it all streams are where they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
