"""Rollback: a run that diverges returns to weights with a finite loss, and halves its learning rates."""

import math

from onward.errors import DivergedError
from onward.training.checkpoint import Checkpoint
from onward.training.events import RolledBack
from onward.training.trainer import EXPLODED, StepResult, Trainer

ROLL_BACKS = 8
"""Maximum number of rollbacks; the next divergence ends the run."""

STEPS_BETWEEN_SNAPSHOTS = 200
"""Number of steps from one snapshot to the next."""


def has_diverged(result: StepResult, clip: float) -> bool:
    """Returns whether the loss of a step is not finite, or its gradient has exploded."""
    return not (math.isfinite(result.nats_per_symbol) and result.gradient_norm < EXPLODED * clip)


class Rollback:
    """Takes snapshots of a run, and returns to them.

    Args:
        trainer: the run.

    Attributes:
        last_good: the newest snapshot from which a step with a finite loss was made.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.last_good: Checkpoint = trainer.snapshot()
        self._candidate = self.last_good

    def before_step(self) -> None:
        """Takes a snapshot if one is due; `accept` makes it the last good one."""
        due = self._trainer.step % STEPS_BETWEEN_SNAPSHOTS == 0
        self._candidate = self._trainer.snapshot() if due else self.last_good

    def accept(self) -> None:
        """Keeps the snapshot from before the last step, because that step had a finite loss."""
        self.last_good = self._candidate

    def restore(self, snapshot: Checkpoint) -> None:
        """Makes a snapshot from a checkpoint the last good one, and moves the trainer there.

        Raises:
            ArtefactError: the snapshot belongs to a run with another recipe or corpus.
        """
        self._trainer.restore(snapshot)
        self.last_good = self._trainer.snapshot()

    def roll_back(self, result: StepResult) -> RolledBack:
        """Moves the trainer back to the last good snapshot, at half the learning rate.

        The count of steps goes on, because the schedule follows it.

        Raises:
            DivergedError: `ROLL_BACKS` halvings of the learning rate did not help.
        """
        trainer, step, schedule = self._trainer, self._trainer.step, self._trainer.schedule
        scale = trainer.rate_scale / 2
        nats, norm = result.nats_per_symbol, result.gradient_norm
        reason = f"the loss was {nats:.4g} nats per symbol and the gradient norm {norm:.4g}"
        if scale < 2.0**-ROLL_BACKS:
            tried = f"even after {ROLL_BACKS} halvings of the learning rate"
            raise DivergedError(
                f"training diverged at step {step}, {tried}: {reason}",
                hint="use a lower rate and muon_rate, or a lower clip (command line: --set NAME=VALUE)",
            )
        trainer.restore(self.last_good)
        returned_to = trainer.step
        trainer.step, trainer.schedule, trainer.rate_scale = step, schedule, scale
        return RolledBack(step, returned_to, reason, scale)
