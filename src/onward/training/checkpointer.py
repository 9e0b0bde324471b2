"""Writes the checkpoints of a run, and restores a run from a checkpoint."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onward.artefact import weights_of
from onward.training.best_weights import BestWeights
from onward.training.checkpoint import Checkpoint, check_tensors, group_of, grouped, save_checkpoint, take
from onward.training.events import CheckpointSaved
from onward.training.plan import SECONDS_BETWEEN_CHECKPOINTS
from onward.training.rollback import Rollback
from onward.training.trainer import Trainer
from onward.training.validator import Validator


class Checkpointer:
    """Writes everything that a run needs to continue: its state, last good snapshot and best weights.

    Args:
        path: the checkpoint file; None writes none.
        facts: further facts about the run to store in the checkpoint.

    Attributes:
        path: as given.
        seconds: duration of the last write.
    """

    def __init__(self, path: Path | None, facts: Mapping[str, Any]) -> None:
        self.path = path
        self.seconds = 0.0
        self._facts = dict(facts)
        self._saved_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is older than `SECONDS_BETWEEN_CHECKPOINTS`."""
        return time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS

    def save(self, trainer: Trainer, rollback: Rollback, best: BestWeights) -> CheckpointSaved | None:
        """Writes a checkpoint, unless `path` is None.

        Raises:
            WriteError: the file could not be written; the previous checkpoint is unchanged.
        """
        event = None
        if self.path:
            started, now, good = time.monotonic(), trainer.snapshot(), rollback.last_good
            groups = {"run": now.tensors, "good": good.tensors, "best": best.weights}
            tensors = {key: t for name, group in groups.items() for key, t in grouped(name, group).items()}
            facts: dict[str, Any] = {"run": now.facts, "good": good.facts, "best": {}}
            if best.weights:
                facts["best"] = {"nats_per_symbol": best.nats_per_symbol, "step": best.step}
            save_checkpoint(Checkpoint(tensors, self._facts | facts), self.path)
            event = CheckpointSaved(trainer.step, str(self.path))
            self.seconds = time.monotonic() - started
        self._saved_at = time.monotonic()
        return event


def restore_run(checkpoint: Checkpoint, trainer: Trainer, rollback: Rollback, validator: Validator) -> None:
    """Restores the state of a run from a checkpoint.

    Raises:
        ArtefactError: the checkpoint belongs to a run with another recipe or corpus.
    """
    facts = checkpoint.facts
    good, run = (
        Checkpoint(group_of(name, checkpoint.tensors), take(facts, name, dict)) for name in ("good", "run")
    )
    rollback.restore(good)
    trainer.restore(run)
    best = take(facts, "best", dict)
    if weights := group_of("best", checkpoint.tensors):
        check_tensors(weights, weights_of(trainer.model))
        copies = {name: weight.to(trainer.device, copy=True) for name, weight in weights.items()}
        validator.best = BestWeights(take(best, "nats_per_symbol", float), take(best, "step", int), copies)
