"""Training runs, complete or killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onward.data.encoded import EncodedCorpus
from onward.training import checkpointer
from onward.training.events import Event, Stepped
from onward.training.plan import Budget
from onward.training.recipe import Recipe
from onward.training.resume import start_run
from onward.training.train import TrainingResult, train_model


class KilledError(Exception):
    """Stands for the end of a process."""


def train(
    corpus: EncodedCorpus,
    recipe: Recipe,
    budget: Budget,
    output: Path | None = None,
    *,
    resume: bool = False,
    **options: Any,
) -> TrainingResult:
    """Runs `train_model` with an output or without."""
    with start_run(output, resume=resume) as start:
        return train_model(corpus, recipe, budget, start, **options)


def kill_at(step: int) -> Callable[[Event], None]:
    """Returns an observer that ends the run at a step."""

    def observer(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == step:
            raise KilledError

    return observer


def train_until(corpus: EncodedCorpus, recipe: Recipe, budget: Budget, output: Path, step: int) -> None:
    """Trains until a step and leaves its checkpoint, as a killed process does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpointer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        with pytest.raises(KilledError):
            train(corpus, recipe, budget, output, observer=kill_at(step + 1))
