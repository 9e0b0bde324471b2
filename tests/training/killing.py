"""Runs that end before their time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from onward.data.encoded import EncodedCorpus
from onward.training import loop as loops
from onward.training.events import Event, Stepped
from onward.training.plan import Budget
from onward.training.recipe import Recipe
from onward.training.train import train_model


class KilledError(Exception):
    """Stands for the end of a process."""


def kill_at(step: int) -> Callable[[Event], None]:
    def observer(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == step:
            raise KilledError

    return observer


def stop(corpus: EncodedCorpus, recipe: Recipe, budget: Budget, output: Path, step: int) -> None:
    """Trains until the step, and leaves a checkpoint of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        with pytest.raises(KilledError):
            train_model(corpus, recipe, budget, output=output, observer=kill_at(step + 1))
