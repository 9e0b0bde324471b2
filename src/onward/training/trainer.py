"""The training step, and the state from which it can continue exactly."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from onward.artefact import weights_of
from onward.data.lanes import Block, Blocks
from onward.errors import ArtefactError
from onward.layers.state import State, detach, tensors_of, with_tensors
from onward.model import LanguageModel, losses
from onward.precision import in_precision
from onward.stored import Count, StoredModel, refusing_damage
from onward.training.checkpoint import START_AGAIN, Checkpoint, check_tensors, group_of, grouped
from onward.training.optimiser import RunOptimiser, rate_share
from onward.training.recipe import Recipe
from onward.training.schedule import Schedule

EXPLODED = 1e4
"""A gradient norm of this many times the clipping norm counts as divergence, as does an infinite one."""


class _Position(StoredModel):
    epoch: Count
    offset: Count


class _RunFacts(StoredModel):
    """The facts of a `Trainer.snapshot`."""

    step: Count
    schedule: str
    symbols: Count
    rate_scale: Annotated[float, Field(gt=0, le=1)]
    precision: Literal["bf16", "fp32"]
    position: _Position


class StepResult(NamedTuple):
    """The result of a step.

    Attributes:
        nats_per_symbol: mean loss of the block, before the update.
        gradient_norm: norm of the gradient before clipping.
        epoch: the epoch, counted from 1, that started with this step; None within an epoch.
    """

    nats_per_symbol: float
    gradient_norm: float
    epoch: int | None


class Trainer:
    """Truncated back-propagation through time over lanes, with the state carried from block to block.

    Args:
        model: the model, in training mode. It is trained on its device.
        lanes: the blocks to train on.
        recipe: the hyperparameters.
        precision: precision of the matrix products, "bf16" or "fp32".

    Attributes:
        device: the model's device.
        step: number of steps so far.
        symbols: number of symbols trained on so far.
        schedule: the progress of the run by steps; the learning rates follow it.
        rate_scale: factor that scales all learning rates; each rollback halves it.
    """

    def __init__(self, model: LanguageModel, lanes: Blocks, recipe: Recipe, *, precision: str) -> None:
        self.model, self.lanes, self.recipe, self.precision = model, lanes, recipe, precision
        self.device = model.device
        self.optimiser = RunOptimiser(model, recipe)
        self.state: State = model.initial_state(lanes.lanes)
        self.step, self.symbols = 0, 0
        self.schedule = Schedule()
        self.rate_scale = 1.0

    def advance(self) -> StepResult:
        """Makes a step.

        If the loss is not finite or the gradient norm reaches `EXPLODED` times the clipping norm, the weights
        are not updated, and the run must be rolled back.
        """
        epoch = self.lanes.epoch + 1 if self.lanes.position["offset"] == 0 else None
        block = self.lanes.next()
        if block.start:
            self.state = self.model.initial_state(self.lanes.lanes)
        nats = self._backward(block)
        share = self.rate_scale * rate_share(self.recipe, self.step, self.schedule)
        norm = self.optimiser.step(share, largest=EXPLODED * self.recipe.clip)
        self.step += 1
        self.symbols += _targets(block)
        return StepResult(nats, norm, epoch)

    @contextmanager
    def evaluated(self) -> Iterator[LanguageModel]:
        """Yields the model in evaluation mode and in this run's precision.

        Random numbers drawn in the block do not affect the training.
        """
        with forked_random(self.device), in_precision(self.device, self.precision):
            self.model.eval()
            try:
                yield self.model
            finally:
                self.model.train()

    def snapshot(self) -> Checkpoint:
        """Returns a copy of the whole state of the run, apart from its best weights."""
        facts = {
            "step": self.step,
            "schedule": str(self.schedule),
            "symbols": self.symbols,
            "rate_scale": self.rate_scale,
            "precision": self.precision,
            "position": self.lanes.position,
        }
        tensors = {**self._fixed_tensors(), **grouped("optimiser", self.optimiser.tensors())}
        return Checkpoint({name: tensor.detach().clone() for name, tensor in tensors.items()}, facts)

    def restore(self, snapshot: Checkpoint) -> None:
        """Restores the state in a snapshot, whose tensors are copied.

        Raises:
            ArtefactError: the snapshot belongs to a run with another recipe or corpus.
            CorpusError: the snapshot's position does not exist in the corpus.
        """
        tensors, facts = snapshot.tensors, snapshot.facts
        check_tensors(
            {k: t for k, t in tensors.items() if not k.startswith("optimiser/")}, self._fixed_tensors()
        )
        with refusing_damage("the state of the run in the checkpoint", START_AGAIN):
            run = _RunFacts.model_validate(facts)
            self.schedule = Schedule.parse(run.schedule) if run.schedule else Schedule()
        self.lanes.move({"epoch": run.position.epoch, "offset": run.position.offset})
        self.step, self.symbols = run.step, run.symbols
        self.rate_scale, self.precision = run.rate_scale, run.precision
        self.optimiser.restore(group_of("optimiser", tensors))
        self.model.load_state_dict(group_of("weights", tensors), strict=not self.model.config.tied)
        parts = group_of("state", tensors)
        self.state = with_tensors(
            self.state, iter([parts[str(i)].to(self.device, copy=True) for i in range(len(parts))])
        )
        try:
            torch.set_rng_state(tensors["random"].clone())
            if "random of device" in tensors:
                torch.cuda.set_rng_state(tensors["random of device"].clone(), self.device)
        except RuntimeError as error:
            message = "the state of the random generator in the checkpoint is damaged"
            raise ArtefactError(message, hint=START_AGAIN) from error

    def _fixed_tensors(self) -> dict[str, Tensor]:
        """Returns the tensors whose names and shapes are the same after every step."""
        on_gpu = self.device.type == "cuda"
        return {
            "random": torch.get_rng_state(),
            **({"random of device": torch.cuda.get_rng_state(self.device)} if on_gpu else {}),
            **grouped("weights", weights_of(self.model)),
            **grouped("state", {str(i): part for i, part in enumerate(tensors_of(self.state))}),
        }

    def _backward(self, block: Block) -> float:
        """Computes the gradients of a block's mean loss, keeps the new state, and returns the loss."""
        loss, state = block_loss(self.model, block, self.state, self.precision)
        self.state = detach(state)
        loss.backward()
        return float(loss.detach())


def block_loss(model: LanguageModel, block: Block, state: State, precision: str) -> tuple[Tensor, State]:
    """Returns the mean loss of a block in nats per symbol, and the state after the block.

    Args:
        model: the model; the block is moved to its device.
        block: the block. Padding does not count.
        state: the state before the block.
        precision: precision of the matrix products, "bf16" or "fp32".
    """
    with in_precision(model.device, precision):
        logits, state = model(block.x.to(model.device), state)
    padding = block.y.numel() / max(1, _targets(block))  # exactly 1 without padding
    return losses(logits, block.y.to(model.device)).mean() * padding, state


def _targets(block: Block) -> int:
    """Returns the number of symbols to predict in a block, without padding."""
    return int((block.y >= 0).sum())


def forked_random(device: torch.device) -> AbstractContextManager:
    """Returns a context that restores the state of the random generators at its end."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
