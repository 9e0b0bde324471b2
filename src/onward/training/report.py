"""What a run tells while it goes on: events, for whoever listens, and a log of them.

An observer is any callable that takes an event. It may draw, print or store; it cannot change the run.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from onward.units import nats_to_bits


@dataclass(frozen=True)
class Started:
    """A run begins, or goes on.

    Attributes:
        recipe: its name.
        parameters: numbers to train.
        vocabulary: size of the vocabulary.
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
class Planned:
    """The number of steps is known from here on, and will not change."""

    steps: int


@dataclass(frozen=True)
class EpochStarted:
    """The corpus begins anew, and with it the recurrent state, from zeros."""

    epoch: int


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
class Saved:
    """A checkpoint was written."""

    step: int
    path: str


Event: TypeAlias = Started | Planned | EpochStarted | Stepped | Validated | Sampled | RolledBack | Saved
Observer: TypeAlias = Callable[[Event], None]


class Log:
    """Events as JSON lines, each flushed as it is written.

    Steps are thinned to about one in a hundred of the run; a resumed run appends. Losses stand in nats and
    in bits per symbol, times in seconds since the process began this run.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._file = path.open("a" if resumed else "w", encoding="utf-8")
        self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Writes a line."""
        if isinstance(event, Stepped) and event.step % max(1, (event.steps or 0) // 100):
            return
        line = {"event": type(event).__name__.lower(), "seconds": round(time.monotonic() - self._started, 2)}
        line |= dataclasses.asdict(event)
        if "nats_per_symbol" in line:
            line["bits_per_symbol"] = nats_to_bits(line["nats_per_symbol"])
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Ends the log."""
        self._file.close()
