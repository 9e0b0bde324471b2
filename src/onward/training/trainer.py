"""The training step, and the state from which it can continue exactly."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from onward.artefact import digest_of, weights_of
from onward.data.lanes import Blocks
from onward.errors import ArtefactError, RunError
from onward.layers.state import State, map_state, tensors_of, with_tensors
from onward.model import LanguageModel
from onward.precision import in_precision
from onward.stored import Count, StoredModel, refusing_damage
from onward.training.block_loss import count_targets
from onward.training.checkpoint import START_AGAIN, Checkpoint, check_tensors, group_of, grouped
from onward.training.group import Ended, Group, SingleProcess
from onward.training.optimiser import RunOptimiser, rate_share
from onward.training.random_state import forked_random
from onward.training.recipe import Recipe
from onward.training.schedule import Schedule
from onward.training.shards import Shards

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


@dataclass(frozen=True)
class _Advance:
    """Process 0 makes a step, with the learning rates at this share of their peaks."""

    step: int
    share: float


@dataclass(frozen=True)
class _Snapshot:
    """Process 0 takes a snapshot, which has the states of all lanes."""


@dataclass(frozen=True)
class _Restore:
    """Process 0 has restored a snapshot."""

    snapshot: Checkpoint


class Trainer:
    """Truncated back-propagation through time over lanes, with the state carried from block to block.

    In a group of processes, each has a trainer, and computes the gradients of its lanes. Process 0 calls
    `advance`, `snapshot` and `restore`; the others call `follow`.

    Args:
        model: the model, in training mode. It is trained on its device.
        lanes: the blocks to train on.
        recipe: the hyperparameters.
        precision: precision of the matrix products, "bf16" or "fp32".
        group: the processes of the run; None trains alone.

    Raises:
        RecipeError: the lanes or the processes do not fit the recipe's shards.

    Attributes:
        device: the model's device.
        group: the processes of the run.
        state: the state of this process's lanes.
        step: number of steps so far.
        symbols: number of symbols trained on so far.
        schedule: the progress of the run by steps; the learning rates follow it.
        rate_scale: factor that scales all learning rates; each rollback halves it.
    """

    def __init__(
        self,
        model: LanguageModel,
        lanes: Blocks,
        recipe: Recipe,
        *,
        precision: str,
        group: Group | None = None,
    ) -> None:
        self.model, self.lanes, self.recipe, self.precision = model, lanes, recipe, precision
        self.device, self.group = model.device, group or SingleProcess()
        self.optimiser = RunOptimiser(model, recipe)
        self._shards = Shards(lanes.lanes, recipe, self.group)
        self.state: State = self._initial_state()
        self.step, self.symbols = 0, 0
        self.schedule = Schedule()
        self.rate_scale = 1.0

    def advance(self) -> StepResult:
        """Makes a step.

        If the loss is not finite or the gradient norm reaches `EXPLODED` times the clipping norm, the weights
        are not updated, and the run must be rolled back.
        """
        share = self.rate_scale * rate_share(self.recipe, self.step, self.schedule)
        self.group.broadcast(_Advance(self.step, share))
        return self._advance(share)

    def follow(self) -> Ended:
        """Repeats what process 0 does until it ends the run, and returns its last message."""
        while True:
            match self.group.receive():
                case _Advance(step, share):
                    self.step = step
                    self._advance(share)
                case _Snapshot():
                    self._gather()
                case _Restore(snapshot):
                    self._restore(snapshot)
                case Ended() as ended:
                    return ended

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

    def broadcast_state(self) -> None:
        """Gives the other processes the weights of this one, before its first step."""
        self.restore(self._snapshot(self.model.initial_state(self.lanes.lanes)))

    def snapshot(self) -> Checkpoint:
        """Returns a copy of the whole state of the run, apart from its best weights.

        Raises:
            RunError: the processes have different weights.
        """
        self.group.broadcast(_Snapshot())
        state, has_equal_weights = self._gather()
        if not has_equal_weights:
            raise RunError(
                "the processes of this run have different weights, because their processors differ",
                hint="continue from the last checkpoint with --resume, on processors of one kind",
            )
        return self._snapshot(state)

    def restore(self, snapshot: Checkpoint) -> None:
        """Restores the state in a snapshot, whose tensors are copied.

        Raises:
            ArtefactError: the snapshot belongs to a run with another recipe or corpus.
            CorpusError: the snapshot's position does not exist in the corpus.
        """
        self._restore(snapshot)
        on_cpu = {name: tensor.cpu() for name, tensor in snapshot.tensors.items()}  # not on this GPU
        self.group.broadcast(_Restore(Checkpoint(on_cpu, snapshot.facts)))

    def _advance(self, share: float) -> StepResult:
        epoch = self.lanes.epoch + 1 if self.lanes.position["offset"] == 0 else None
        block = self.lanes.next()
        if block.start:
            self.state = self._initial_state()
        nats, self.state = self._shards.backward(
            self.model, block, self.state, precision=self.precision, step=self.step
        )
        norm = self.optimiser.step(share, largest=EXPLODED * self.recipe.clip)
        self.step += 1
        self.symbols += count_targets(block)
        return StepResult(nats, norm, epoch)

    def _snapshot(self, state: State) -> Checkpoint:
        """Returns a copy of the state of the run, with this state of all lanes."""
        facts = {
            "step": self.step,
            "schedule": str(self.schedule),
            "symbols": self.symbols,
            "rate_scale": self.rate_scale,
            "precision": self.precision,
            "position": self.lanes.position,
        }
        tensors = {**self._fixed_tensors(state), **grouped("optimiser", self.optimiser.tensors())}
        return Checkpoint({name: tensor.detach().clone() for name, tensor in tensors.items()}, facts)

    def _restore(self, snapshot: Checkpoint) -> None:
        tensors, facts = snapshot.tensors, snapshot.facts
        whole = self.model.initial_state(self.lanes.lanes)
        check_tensors(
            {k: t for k, t in tensors.items() if not k.startswith("optimiser/")}, self._fixed_tensors(whole)
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
        state = with_tensors(whole, iter([parts[str(i)] for i in range(len(parts))]))
        self.state = map_state(lambda part: part.to(self.device, copy=True), self._shards.own(state))
        try:
            torch.set_rng_state(tensors["random"].clone())
            if "random of device" in tensors:
                torch.cuda.set_rng_state(tensors["random of device"].clone(), self.device)
        except RuntimeError as error:
            message = "the state of the random generator in the checkpoint is damaged"
            raise ArtefactError(message, hint=START_AGAIN) from error

    def _gather(self) -> tuple[State, bool]:
        """Returns the state of all lanes, and whether all processes have the same weights."""
        state = self._shards.joined(self.state)
        if self.group.size == 1:
            return state, True
        digest = bytearray.fromhex(digest_of(weights_of(self.model)))
        digests = self.group.all_gather(torch.frombuffer(digest, dtype=torch.uint8)[None])  # (P, 32)
        return state, bool((digests == digests[0]).all())

    def _initial_state(self) -> State:
        return self.model.initial_state(len(self._shards.lanes))

    def _fixed_tensors(self, state: State) -> dict[str, Tensor]:
        """Returns the tensors whose names and shapes are the same after every step.

        Args:
            state: the state of all lanes.
        """
        on_gpu = self.device.type == "cuda"
        return {
            "random": torch.get_rng_state(),
            **({"random of device": torch.cuda.get_rng_state(self.device)} if on_gpu else {}),
            **grouped("weights", weights_of(self.model)),
            **grouped("state", {str(i): part for i, part in enumerate(tensors_of(state))}),
        }
