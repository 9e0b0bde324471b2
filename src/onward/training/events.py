"""Events of a training run.

An observer is a callable that takes an event. It may display or store events; it cannot change the run.
The log (see `onward.training.log`) calls each event by the name of its class in lower case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Event:
    """Something that happened in a run."""


Observer: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class CorpusRead(Event):
    """Part of the corpus was read, in order to encode it: `done` of `total` bytes."""

    done: int
    total: int


@dataclass(frozen=True)
class CorpusEncoded(Event):
    """The corpus is encoded.

    Attributes:
        documents: number of files.
        source_bytes: size of all files together.
        skipped: number of hidden or binary files in the source folders, which were left out.
        replaced: number of invalid bytes, which became the unknown symbol.
    """

    documents: int
    source_bytes: int
    skipped: int
    replaced: int


@dataclass(frozen=True)
class OutputExists(Event):
    """The output is already a model, which this run replaces when it ends."""

    path: str


@dataclass(frozen=True)
class CheckpointIgnored(Event):
    """There is a checkpoint of a stopped run, but this run ignores it and starts from the beginning."""

    path: str


@dataclass(frozen=True)
class CheckpointMissing(Event):
    """The run should resume, but there is no checkpoint, so it starts from the beginning."""

    path: str


@dataclass(frozen=True)
class Started(Event):
    """The run starts or resumes.

    Attributes:
        recipe: name of the recipe.
        parameters: number of trainable parameters.
        vocabulary: number of symbols in the vocabulary, without special symbols.
        training_symbols, validation_symbols: sizes of the training part and the held-out part of the corpus.
        lanes: number of parallel streams; for a small corpus, fewer than in the recipe.
        precision: precision of the matrix products.
        step: 0, or the step at which the run resumes.
        processes: number of processes that train together.
    """

    recipe: str
    parameters: int
    vocabulary: int
    training_symbols: int
    validation_symbols: int
    lanes: int
    precision: str
    step: int
    processes: int = 1


@dataclass(frozen=True)
class BaseChosen(Event):
    """The run begins with the weights of a base model.

    Attributes:
        name: name of the base, or path of the model file.
        nats_per_symbol: its loss on the text before training; None if the user named it.
    """

    name: str
    nats_per_symbol: float | None = None


@dataclass(frozen=True)
class SettingsChosen(Event):
    """The hyperparameters that follow from the text and the budget.

    Attributes:
        settings: their values by name.
        passes: the number of passes over the text after which the run ends; None if its budget is not in
            minutes.
    """

    settings: dict[str, Any]
    passes: float | None


@dataclass(frozen=True)
class Planned(Event):
    """The first plan of a run with a budget in minutes; the number of steps may change with the speed."""

    steps: int


@dataclass(frozen=True)
class ManyEpochs(Event):
    """The run has so many epochs that the model may overfit (see `plan.may_overfit`)."""

    epochs: float


@dataclass(frozen=True)
class EpochStarted(Event):
    """An epoch starts, with the initial recurrent state.

    Attributes:
        epoch: counted from 1.
        step: number of steps before the epoch.
    """

    epoch: int
    step: int = 0


@dataclass(frozen=True)
class Stepped(Event):
    """A training step was made.

    Attributes:
        step: number of steps so far.
        steps: number of steps of the run, which may change in a run with a budget in minutes; None before
            the first plan.
        nats_per_symbol: mean loss of the block, before the update.
        gradient_norm: norm of the gradient before clipping.
        symbols: number of symbols trained on so far.
        symbols_per_second: recent speed.
        seconds_left: estimated time until the last step; None until the steps are planned.
    """

    step: int
    steps: int | None
    nats_per_symbol: float
    gradient_norm: float
    symbols: int
    symbols_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class Validated(Event):
    """A check scored part of the held-out text; `best` is whether the loss is the lowest so far."""

    step: int
    nats_per_symbol: float
    best: bool


@dataclass(frozen=True)
class Worsened(Event):
    """A run with a budget in minutes ends early, because its checks got worse (see `validator.py`).

    Attributes:
        step: the last step.
        best_step: the step whose weights are kept.
    """

    step: int
    best_step: int


@dataclass(frozen=True)
class Sampled(Event):
    """The model wrote a sample."""

    step: int
    text: str


@dataclass(frozen=True)
class RolledBack(Event):
    """The run diverged and went back to earlier weights.

    Attributes:
        step: the step that diverged.
        to: the step whose weights were restored; the count of steps goes on from `step`.
        reason: the loss and gradient norm that were found.
        rate_scale: factor that scales all learning rates from now on.
    """

    step: int
    to: int
    reason: str
    rate_scale: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint was written."""

    step: int
    path: str


@dataclass(frozen=True)
class Finished(Event):
    """The run is finished, and the model is saved if the run has an output.

    Attributes:
        step: number of steps.
        symbols: number of symbols trained on.
        seconds: duration of this process's part of the run.
        nats_per_symbol: loss of all held-out pieces; None if nothing was held out.
        best_step: the step whose weights were saved.
        schedule: the schedule of the whole run (see `onward.training.schedule`).
    """

    step: int
    symbols: int
    seconds: float
    nats_per_symbol: float | None
    best_step: int
    schedule: str
