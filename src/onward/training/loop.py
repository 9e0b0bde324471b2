"""The loop of a run: steps, checks, checkpoints, and what is done when something goes wrong."""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onward.artefact import weights_of
from onward.data.symbols import Symbols
from onward.errors import DivergedError, Interrupted
from onward.precision import in_precision
from onward.signals import held_back_signals
from onward.training.best_weights import Best
from onward.training.checkpoint import Checkpoint, check_tensors, group_of, grouped, save_checkpoint, take
from onward.training.events import (
    CheckpointSaved,
    EpochStarted,
    Event,
    Observer,
    OverBudget,
    Planned,
    ReadOften,
    RolledBack,
    Sampled,
    Stepped,
    Validated,
)
from onward.training.plan import (
    CHECKS,
    LATE,
    LATE_SECONDS,
    SAMPLES_SHARE,
    SECONDS_BETWEEN_CHECKPOINTS,
    SECONDS_TO_CLOSE,
    Costs,
    Plan,
    is_check_due,
    is_read_often,
    is_time_to_fix,
    steps_that_fit,
)
from onward.training.trainer import EXPLODED, StepResult, Trainer
from onward.training.validation import FEWEST_CHECKED, check, checked_symbols, report

ROLL_BACKS = 8
"""After so many a run gives up."""

STEPS_BETWEEN_SNAPSHOTS = 200
"""A run that goes wrong loses no more than these."""

_TIMED = 30


class TrainingLoop:
    """Makes the steps of a plan.

    Args:
        trainer: the run, not begun.
        tail: the held-out symbols; may be empty, then nothing is checked and the last weights count.
        plan: how long.
        observer: is told of everything.
        checkpoint: where checkpoints go; None writes none.
        facts: what a checkpoint says besides where the run stands.
        sampler: gives a short text by the trainer's model as it is; called after checks.

    Attributes:
        best: the best weights so far.
    """

    def __init__(
        self,
        trainer: Trainer,
        tail: Symbols,
        plan: Plan,
        observer: Observer,
        *,
        checkpoint: Path | None = None,
        facts: Mapping[str, Any] | None = None,
        sampler: Callable[[], str] | None = None,
    ) -> None:
        self._trainer, self._tail, self._plan, self._observe = trainer, tail, plan, observer
        self._path, self._facts, self._sampler = checkpoint, dict(facts or {}), sampler
        self.best = Best()
        self._durations: deque[float] = deque(maxlen=_TIMED)
        self._check_seconds = self._sample_seconds = self._save_seconds = 0.0
        self._is_late = False
        self._began = self._saved_at = self._sampled_at = time.monotonic()
        trainer.steps = plan.steps
        self._last_good: Checkpoint = trainer.snapshot()

    def run(self) -> None:
        """Makes the steps that are left, and writes a checkpoint behind the last.

        Raises:
            Interrupted: a first SIGINT or SIGTERM; a checkpoint was written.
            DivergedError: `ROLL_BACKS` halvings of the learning rate did not help.
            WriteError: a checkpoint could not be written; the one before it is untouched.
        """
        trainer = self._trainer
        if trainer.steps is not None and trainer.step == 0:
            self._tell_if_read_often(trainer.steps)
        with held_back_signals() as interrupted:
            if trainer.step == 0 and self._path and self._path.exists():
                self._save()  # in place of another run's, which would else be resumed with this run's log
            while trainer.steps is None or trainer.step < trainer.steps:
                self._step()
                if interrupted():
                    self._stop()
            self._save()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Goes to a moment that was written by a run of the same recipe and corpus.

        Raises:
            ArtefactError: the checkpoint is not one of such a run.
        """
        facts, trainer = checkpoint.facts, self._trainer
        for name in ("good", "run"):
            moment = Checkpoint(group_of(name, checkpoint.tensors), take(facts, name, dict))
            trainer.restore(moment)
            if name == "good":
                self._last_good = trainer.snapshot()
        best = take(facts, "best", dict)
        if weights := group_of("best", checkpoint.tensors):
            check_tensors(weights, weights_of(trainer.model))
            copies = {name: weight.to(trainer.device, copy=True) for name, weight in weights.items()}
            self.best = Best(take(best, "nats_per_symbol", float), take(best, "step", int), copies)

    def _step(self) -> None:
        """One step, and what is due after it."""
        trainer, started = self._trainer, time.perf_counter()
        due = trainer.step % STEPS_BETWEEN_SNAPSHOTS == 0
        before = trainer.snapshot() if due else self._last_good
        result = trainer.advance()
        self._durations.append(time.perf_counter() - started)
        if not (
            math.isfinite(result.nats_per_symbol) and result.gradient_norm < EXPLODED * trainer.recipe.clip
        ):
            self._roll_back(result)
            return
        self._last_good = before  # these weights have proved to give a finite loss
        if result.epoch:
            self._observe(EpochStarted(result.epoch, trainer.step - 1))
        stepped = self._stepped(result)
        self._observe(stepped)
        if stepped.seconds_left is not None and not self._is_late:
            self._tell_if_late(stepped.seconds_left)
        if trainer.steps is None:
            self._fix_steps()
        if trainer.steps and is_check_due(trainer.step, trainer.steps, trainer.recipe.warm_up):
            self._check(trainer.steps)
        if time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._save()

    def _fix_steps(self) -> None:
        """Turns the time that is left into steps, once; from here on the clock decides nothing."""
        trainer, now = self._trainer, time.monotonic()
        left = self._plan.deadline - now - SECONDS_TO_CLOSE
        if not is_time_to_fix(trainer.step, len(self._durations), now - self._began, left):
            return
        costs = self._costs()
        trainer.steps = steps_that_fit(
            step=trainer.step,
            seconds=self._plan.deadline - time.monotonic(),
            costs=costs,
            symbols_per_step=trainer.symbols / trainer.step,
            tail=len(self._tail),
        )
        self._observe(Planned(trainer.steps))
        self._tell_if_read_often(trainer.steps)

    def _tell_if_read_often(self, steps: int) -> None:
        """Once, when the number of steps is known."""
        trainer = self._trainer
        blocks, recipe = trainer.lanes.blocks_per_epoch, trainer.recipe
        symbols, times = blocks * trainer.lanes.lanes * recipe.block, steps / blocks
        if is_read_often(times, symbols, trainer.model.parameter_count(), recipe.dropout + recipe.noise):
            self._observe(ReadOften(times))

    def _tell_if_late(self, seconds_left: float) -> None:
        """Once, when the steps that are left will take too long."""
        late = time.monotonic() + seconds_left + SECONDS_TO_CLOSE - self._plan.deadline
        if late > LATE * (self._plan.deadline - self._began) + LATE_SECONDS:
            self._is_late = True
            self._observe(OverBudget(late))

    def _costs(self) -> Costs:
        """What the parts of this run take, measured."""
        self._save()
        checked = reported = 0.0
        if few := min(len(self._tail), FEWEST_CHECKED):
            tail = self._tail[:few]
            with self._trainer.evaluated() as model:
                checked = _seconds(lambda: check(model, tail, few)) / few
                with in_precision(self._trainer.device, "fp32"):  # as the report at the end
                    reported = _seconds(lambda: report(model, tail)) / few
        return Costs(statistics.median(self._durations), self._save_seconds, checked, reported)

    def _check(self, steps: int) -> None:
        """Scores the tail, keeps the best weights, shows a sample."""
        trainer, started = self._trainer, time.monotonic()
        size = checked_symbols(len(self._tail), round(trainer.symbols / trainer.step * steps))
        events: list[Event] = []
        with trainer.evaluated() as model:
            if size:
                nats = check(model, self._tail, size)
                events.append(Validated(trainer.step, nats, self.best.offer(nats, trainer.step, model)))
            self._check_seconds = time.monotonic() - started
            if self._sampler and started - self._sampled_at > self._sample_seconds / SAMPLES_SHARE:
                events.append(Sampled(trainer.step, self._sampler()))
                self._sampled_at = time.monotonic()
                self._sample_seconds = self._sampled_at - started - self._check_seconds
        for event in events:
            self._observe(event)

    def _roll_back(self, result: StepResult) -> None:
        """Goes back to the last weights that proved good, at half the learning rate."""
        trainer, step, steps = self._trainer, self._trainer.step, self._trainer.steps
        scale = trainer.rate_scale / 2
        nats, norm = result.nats_per_symbol, result.gradient_norm
        reason = f"the loss was {nats:.4g} nats per symbol and the norm of its gradient {norm:.4g}"
        if scale < 2.0**-ROLL_BACKS:
            raise DivergedError(
                f"at step {step} {reason}, also after {ROLL_BACKS} halvings of the learning rate",
                hint="choose a lower rate and muon_rate, or a lower clip",
            )
        trainer.restore(self._last_good)
        trainer.rate_scale, trainer.steps = scale, steps
        self._observe(RolledBack(step, trainer.step, reason, scale))

    def _save(self) -> None:
        """Writes a checkpoint."""
        if self._path:
            started, now = time.monotonic(), self._trainer.snapshot()
            moments = {"run": now.tensors, "good": self._last_good.tensors, "best": self.best.weights}
            tensors = {key: t for name, group in moments.items() for key, t in grouped(name, group).items()}
            best = {"nats_per_symbol": self.best.nats_per_symbol, "step": self.best.step}
            facts = {
                "run": now.facts,
                "good": self._last_good.facts,
                "best": best if self.best.weights else {},
            }
            save_checkpoint(Checkpoint(tensors, self._facts | facts), self._path)
            self._observe(CheckpointSaved(self._trainer.step, str(self._path)))
            self._save_seconds = time.monotonic() - started
        self._saved_at = time.monotonic()

    def _stop(self) -> None:
        """Ends the run so that it can go on."""
        self._save()
        step, steps = self._trainer.step, self._trainer.steps
        hint = f"go on with the same command and --resume ({self._path} holds the run)" if self._path else ""
        raise Interrupted(f"stopped at step {step} of {steps or 'as many as the time allows'}", hint=hint)

    def _stepped(self, result: StepResult) -> Stepped:
        """What is told of the step just made."""
        trainer = self._trainer
        per_step = statistics.median(self._durations)
        left = None
        if trainer.steps is not None:
            share_left = 1 - trainer.step / trainer.steps
            left = (trainer.steps - trainer.step) * per_step + CHECKS * share_left * self._check_seconds
        return Stepped(
            step=trainer.step,
            steps=trainer.steps,
            nats_per_symbol=result.nats_per_symbol,
            gradient_norm=result.gradient_norm,
            symbols=trainer.symbols,
            symbols_per_second=trainer.symbols / trainer.step / per_step,
            seconds_left=left,
        )


def _seconds(work: Callable[[], object]) -> float:
    """How long it takes the second time, when memory and plans for it exist."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
