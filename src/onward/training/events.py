"""What a run tells while it goes on: events, for whoever listens.

An observer is any callable that takes an event. It may draw, print or store; it cannot change the run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class ReadingCorpus:
    """The corpus is being encoded: so many of its bytes were read."""

    done: int
    total: int


@dataclass(frozen=True)
class CorpusEncoded:
    """The corpus is encoded.

    Attributes:
        documents: its files.
        source_bytes: in them.
        skipped: files of its folders that were left out, being hidden or binary.
        replaced: invalid bytes that are read as the unknown symbol.
    """

    documents: int
    source_bytes: int
    skipped: int
    replaced: int


@dataclass(frozen=True)
class Replacing:
    """A model lies where the run will save its own: it is replaced when the run ends."""

    path: str


@dataclass(frozen=True)
class Started:
    """A run begins, or goes on.

    Attributes:
        recipe: its name.
        parameters: numbers to train.
        vocabulary: symbols that the vocabulary knows, without onward's own.
        training_symbols, validation_symbols: sizes of the two parts of the corpus.
        lanes: streams trained on at once; fewer than the recipe's for a small corpus.
        precision: of the matrix products, as chosen.
        step: 0, or where the run goes on.
    """

    recipe: str
    parameters: int
    vocabulary: int
    training_symbols: int
    validation_symbols: int
    lanes: int
    precision: str
    step: int


@dataclass(frozen=True)
class NothingToResume:
    """It was asked to go on with a run, but there is no checkpoint: the run begins anew."""

    path: str


@dataclass(frozen=True)
class Planned:
    """The number of steps is known from here on, and will not change."""

    steps: int


@dataclass(frozen=True)
class ReadOften:
    """The text will be read so many times over that it may be learned by heart (see `plan.is_read_often`)."""

    times: float


@dataclass(frozen=True)
class OverBudget:
    """Steps take longer than when they were counted: the run will end so many seconds after its time."""

    seconds: float


@dataclass(frozen=True)
class EpochStarted:
    """The corpus begins anew, and with it the recurrent state, from its initial value.

    Attributes:
        epoch: counted from 1.
        step: steps that were made before.
    """

    epoch: int
    step: int = 0


@dataclass(frozen=True)
class Stepped:
    """One step of training.

    Attributes:
        step: how many steps were made.
        steps: how many there will be, None while that is being measured.
        nats_per_symbol: mean loss of the block, before the update.
        gradient_norm: before clipping.
        symbols: trained on so far.
        seconds_left: until the last step, estimated; None while that is being measured.
        symbols_per_second: lately.
    """

    step: int
    steps: int | None
    nats_per_symbol: float
    gradient_norm: float
    symbols: int
    symbols_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class Validated:
    """The held-out tail was scored."""

    step: int
    nats_per_symbol: float
    best: bool


@dataclass(frozen=True)
class Sampled:
    """What the model writes at this point."""

    step: int
    text: str


@dataclass(frozen=True)
class RolledBack:
    """The run left the finite numbers, and went back.

    Attributes:
        step: where it went wrong.
        to: where it goes on.
        reason: what was seen.
        rate_scale: what all learning rates are multiplied by from now on.
    """

    step: int
    to: int
    reason: str
    rate_scale: float


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint was written."""

    step: int
    path: str


@dataclass(frozen=True)
class Finished:
    """The run ended, and its model is saved where it has an output.

    Attributes:
        step: steps made.
        symbols: trained on.
        seconds: this process took.
        nats_per_symbol: of the held-out tail in one pass; None where nothing was held out.
        best_step: after which the weights that were saved had been found.
    """

    step: int
    symbols: int
    seconds: float
    nats_per_symbol: float | None
    best_step: int


Event: TypeAlias = (
    ReadingCorpus
    | CorpusEncoded
    | NothingToResume
    | Replacing
    | Started
    | Planned
    | ReadOften
    | OverBudget
    | EpochStarted
    | Stepped
    | Validated
    | Sampled
    | RolledBack
    | CheckpointSaved
    | Finished
)
Observer: TypeAlias = Callable[[Event], None]
