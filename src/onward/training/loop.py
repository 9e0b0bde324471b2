"""The loop of a run: steps, checks and checkpoints, until the last step or a signal."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onward.errors import Interrupted
from onward.signals import held_back_signals
from onward.training.best_weights import BestWeights
from onward.training.checkpoint import Checkpoint, resume_hint
from onward.training.checkpointer import Checkpointer, restore_run
from onward.training.clock import RunClock
from onward.training.events import EpochStarted, Event, ManyEpochs, Observer, Planned, Stepped, Worsened
from onward.training.held_out import HeldOut
from onward.training.plan import CHECKS, Plan, is_check_due, may_overfit
from onward.training.rollback import Rollback, has_diverged
from onward.training.trainer import StepResult, Trainer
from onward.training.validator import SampleSchedule, Validator


class TrainingLoop:
    """Makes the steps of a run.

    Args:
        trainer: the run, before its first step.
        held_out: the held-out pieces. If there are none, nothing is checked, and the last weights are kept.
        plan: the length of the run.
        observer: receives all events.
        checkpoint: the checkpoint file; None writes none.
        facts: further facts about the run to store in the checkpoint.
        sampler: returns a short text that the trainer's model wrote; called after checks.
    """

    def __init__(
        self,
        trainer: Trainer,
        held_out: HeldOut,
        plan: Plan,
        observer: Observer,
        *,
        checkpoint: Path | None = None,
        facts: Mapping[str, Any] | None = None,
        sampler: Callable[[], str] | None = None,
    ) -> None:
        self._trainer, self._observer = trainer, observer
        self._clock = RunClock(plan.deadline, plan.most_steps)
        self._validator = Validator(held_out)
        self._samples = SampleSchedule(sampler)
        self._rollback = Rollback(trainer)
        self._checkpointer = Checkpointer(checkpoint, facts or {})
        trainer.schedule = plan.schedule

    @property
    def best(self) -> BestWeights:
        """The best weights so far."""
        return self._validator.best

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restores the state of the run from a checkpoint.

        Raises:
            ArtefactError: the checkpoint belongs to a run with another recipe or corpus.
        """
        restore_run(checkpoint, self._trainer, self._rollback, self._validator)

    def run(self) -> None:
        """Makes the remaining steps, and writes a checkpoint after the last.

        Raises:
            Interrupted: SIGINT or SIGTERM arrived; a checkpoint was written.
            DivergedError: the run diverged, even at lower learning rates.
            WriteError: a checkpoint could not be written; the previous one is unchanged.
            LostProcess: another process of the group has ended.
        """
        trainer, path = self._trainer, self._checkpointer.path
        if trainer.step == 0:
            self._warn_if_many_epochs()
        with held_back_signals(records_all=trainer.group.has_launcher) as interrupted:
            if trainer.step == 0 and path and path.exists():
                self._save()  # replaces another run's checkpoint, so that nobody resumes it as this run
            while trainer.schedule.steps is None or trainer.step < trainer.schedule.steps:
                self._step()
                if interrupted():
                    self._stop()
            self._save()

    def _step(self) -> None:
        """Makes a step, and does whatever is due after it."""
        trainer, started = self._trainer, time.perf_counter()
        self._rollback.before_step()
        result = trainer.advance()
        self._clock.record(time.perf_counter() - started)
        if has_diverged(result, trainer.recipe.clip):
            self._observer(self._rollback.roll_back(result))
            return
        self._rollback.accept()
        self._revise_schedule()
        self._report(result)
        if is_check_due(trainer.schedule, trainer.step):
            self._notify(self._validator.check(trainer))
            if self._validator.is_worsening and self._clock.has_deadline:
                self._end_early()
            self._notify(self._samples.sample(trainer))
        if self._checkpointer.is_due:
            self._save()

    def _revise_schedule(self) -> None:
        """Adapts the schedule to the speed of the machine, if the run has a deadline."""
        trainer = self._trainer
        before, closing = trainer.schedule, self._validator.seconds_to_close + self._checkpointer.seconds
        trainer.schedule = self._clock.revise(before, trainer.step, closing)
        if before.steps is None and trainer.schedule.steps is not None:
            self._observer(Planned(trainer.schedule.steps))
            self._warn_if_many_epochs()

    def _end_early(self) -> None:
        """Ends a run whose checks got worse; its schedule ends at this step, so that it can be repeated."""
        trainer = self._trainer
        trainer.schedule = trainer.schedule.revised(trainer.step, trainer.step)
        self._observer(Worsened(trainer.step, self.best.step))

    def _report(self, result: StepResult) -> None:
        """Notifies the observer of a step."""
        trainer, per_step, left = self._trainer, self._clock.seconds_per_step, None
        steps = trainer.schedule.steps
        if result.epoch:
            self._observer(EpochStarted(result.epoch, trainer.step - 1))
        if steps is not None:
            share_left = 1 - trainer.schedule.progress(trainer.step)
            left = (steps - trainer.step) * per_step + CHECKS * share_left * self._validator.seconds
        self._observer(
            Stepped(
                step=trainer.step,
                steps=steps,
                nats_per_symbol=result.nats_per_symbol,
                gradient_norm=result.gradient_norm,
                symbols=trainer.symbols,
                symbols_per_second=trainer.symbols / trainer.step / per_step,
                seconds_left=left,
            )
        )

    def _warn_if_many_epochs(self) -> None:
        trainer = self._trainer
        blocks, recipe, steps = trainer.lanes.blocks_per_epoch, trainer.recipe, trainer.schedule.steps
        symbols, epochs = blocks * trainer.lanes.lanes * recipe.block, (steps or 0) / blocks
        if may_overfit(epochs, symbols, trainer.model.parameter_count(), recipe.dropout + recipe.noise):
            self._observer(ManyEpochs(epochs))

    def _save(self) -> None:
        self._notify(self._checkpointer.save(self._trainer, self._rollback, self.best))

    def _stop(self) -> None:
        """Ends the run so that it can be resumed."""
        self._save()
        step, steps, path = self._trainer.step, self._trainer.schedule.steps, self._checkpointer.path
        hint = resume_hint(path) if path else ""
        of = f" of {steps}" if steps else ""
        raise Interrupted(f"stopped at step {step}{of}", hint=hint)

    def _notify(self, event: Event | None) -> None:
        if event:
            self._observer(event)
