"""The progress of a training run: a bar on a terminal, otherwise occasional lines."""

import time
from typing import Any, Protocol

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from onward.cli.output import messages
from onward.printable import printable, without_controls
from onward.training.events import (
    BaseChosen,
    CheckpointIgnored,
    CheckpointMissing,
    CorpusEncoded,
    CorpusRead,
    EpochStarted,
    Event,
    ManyEpochs,
    OutputExists,
    Planned,
    RolledBack,
    Sampled,
    SettingsChosen,
    Started,
    Stepped,
    Validated,
    Worsened,
)
from onward.units import nats_to_bits

LINE_EVERY = 15.0
"""Seconds between two lines about steps if there is no bar, and between two lines about epochs."""

FEWEST_TRAINING_SYMBOLS = 10_000
"""A run on fewer symbols warns that the text is too short."""

_TOO_SHORT = f"this text is too short: a useful model needs {FEWEST_TRAINING_SYMBOLS:,} symbols or more"
_SMOOTHING = 0.95


class Display(Protocol):
    """An observer that shows the events of a run. Leaving its context restores the terminal."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *exception: object) -> None: ...

    def __call__(self, event: Event) -> None: ...


def display() -> Display:
    """Returns a bar if standard error is a terminal, else plain lines."""
    console = messages()
    return ProgressBar(console) if console.is_terminal else PlainProgress(console)


class ProgressBar:
    """A progress bar, with messages above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._loss = _Smoothed()
        self._epochs = _RateLimit()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            refresh_per_second=4,
            expand=True,
        )
        self._task = self._progress.add_task("starting", total=None, figures="")

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, CorpusRead):
            self._move("encoding", event.done, event.total, _megabytes(event))
        elif isinstance(event, Stepped):
            figures = "  ".join(_figures(event, self._loss.add(event.nats_per_symbol)))
            self._move("training" if event.steps else "timing", event.step, event.steps, figures)
        elif isinstance(event, Sampled):
            self._console.print(Padding(Text(_brief(event.text), style="dim italic"), (0, 0, 0, 4)))
        elif isinstance(event, EpochStarted) and not self._epochs.due():
            pass
        else:
            _print_lines(self._console, describe(event))

    def _move(self, task: str, done: int, total: int | None, figures: str) -> None:
        self._progress.update(self._task, description=task, completed=done, total=total, figures=figures)


class PlainProgress:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._loss = _Smoothed()
        self._epochs, self._steps = _RateLimit(), _RateLimit(LINE_EVERY)

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        if isinstance(event, CorpusRead):
            if self._steps.due():
                self._say(f"encoding: {_megabytes(event)}")
        elif isinstance(event, Stepped):
            nats = self._loss.add(event.nats_per_symbol)
            if self._steps.due():
                of = f" of {event.steps:,}" if event.steps else ""
                self._say("  ".join([f"step {event.step:,}{of}", *_figures(event, nats)]))
        elif isinstance(event, EpochStarted) and not self._epochs.due():
            pass
        else:
            _print_lines(self._console, describe(event))

    def _say(self, line: str) -> None:
        _print_lines(self._console, [line])


def _print_lines(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


def describe(event: Event) -> list[str]:  # noqa: PLR0912 - one case for each kind of event
    """Returns lines about an event; none if it needs none."""
    line = ""
    match event:
        case CorpusEncoded():
            line = _describe_corpus(event)
        case OutputExists() | CheckpointIgnored() | CheckpointMissing():
            line = _describe_output(event)
        case BaseChosen():
            line = _describe_base(event)
        case SettingsChosen(settings, passes):
            most = "" if passes is None else f"; at most {passes:.3g} epochs"
            line = f"settings for this text: {_settings(settings)}{most}"
        case Started() if event.training_symbols < FEWEST_TRAINING_SYMBOLS:
            return [_describe_start(event), _TOO_SHORT]
        case Started():
            line = _describe_start(event)
        case Planned(steps):
            line = f"about {_count(steps, 'step')}; the number follows the speed of the machine"
        case ManyEpochs(epochs):
            line = f"{epochs:.1f} epochs planned: the model may overfit (--dropout 0.1 to 0.3 helps)"
        case EpochStarted(epoch):
            line = f"epoch {epoch} starts: the state is reset"
        case Validated(step, nats, best):
            line = f"step {step:,}  held-out loss {_loss(nats)}{'  best so far' if best else ''}"
        case Worsened(step, best_step):
            line = (
                f"step {step:,}  the held-out loss has risen since step {best_step:,}: the run ends early, "
                "and keeps the weights of that step"
            )
        case RolledBack(step, to, reason, scale):
            rate = f"learning rates are now {scale:g} times the recipe's"
            line = f"step {step:,}  {reason}: returned to the weights of step {to:,}, {rate}"
        case Sampled(step, text):
            line = f"step {step:,}  sample: {' '.join(_brief(text).split())}"
        case _:
            pass
    return [line] if line else []


def _describe_output(event: OutputExists | CheckpointIgnored | CheckpointMissing) -> str:
    match event:
        case OutputExists(path):
            return f"{path} is a finished model; this run replaces it when it ends"
        case CheckpointIgnored(path):
            return f"{path} holds a stopped run; this run starts from the beginning (--resume continues it)"
        case CheckpointMissing(path):
            return f"there is no checkpoint {path}: this run starts from the beginning"


def _describe_corpus(event: CorpusEncoded) -> str:
    """Returns a line about the sources; "" for a single valid file."""
    parts = [f"{event.documents:,} files, {event.source_bytes / 1e6:,.1f} MB"] if event.documents > 1 else []
    if event.skipped:
        parts.append(f"{_count(event.skipped, 'hidden or binary file')} skipped")
    if event.replaced:
        remedy = "iconv -f LATIN1 -t UTF-8 FILE converts Latin-1; --symbols bytes accepts any file"
        parts.append(
            f"not valid UTF-8: {_count(event.replaced, 'byte')} replaced by the unknown symbol ({remedy})"
        )
    return f"read {'; '.join(parts)}" if event.documents > 1 else "; ".join(parts)


def _describe_base(event: BaseChosen) -> str:
    if event.nats_per_symbol is None:
        return f"begins with the model {event.name}"
    loss = f"whose loss on this text is {event.nats_per_symbol:.2f} nats per symbol before training"
    return f"begins with the base model {event.name}, {loss} (--base none begins with new weights)"


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())


def _describe_start(event: Started) -> str:
    different = _count(event.vocabulary, "different symbol")
    size = f"{event.parameters:,} parameters, {different}, {event.precision}"
    text = f"{_count(event.training_symbols, 'symbol')} to train on, {event.validation_symbols:,} held out"
    resumed = f", resumed at step {event.step:,}" if event.step else ""
    joined = f", {event.processes} processes" if event.processes > 1 else ""
    return f"recipe {event.recipe}: {size}{joined}; {text}{resumed}"


def _figures(event: Stepped, nats: float) -> list[str]:
    left = "" if event.seconds_left is None else f"{_clock(event.seconds_left)} left"
    return [part for part in (_loss(nats), f"{event.symbols_per_second:,.0f} symbols/s", left) if part]


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _megabytes(event: CorpusRead) -> str:
    return f"{event.done / 1e6:,.1f} of {event.total / 1e6:,.1f} MB"


def _loss(nats_per_symbol: float) -> str:
    return f"{nats_per_symbol:.3f} nats {nats_to_bits(nats_per_symbol):.3f} bits"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _brief(text: str, longest: int = 240) -> str:
    """Returns the beginning of a sample, without characters that would move the cursor."""
    shown = without_controls(text.strip(), keep="\n")
    return shown if len(shown) <= longest else shown[:longest] + " …"


class _RateLimit:
    """Limits messages to one in `LINE_EVERY` seconds; the first is due after `wait` seconds."""

    def __init__(self, wait: float = 0.0) -> None:
        self._next = time.monotonic() + wait

    def due(self) -> bool:
        now = time.monotonic()
        if due := now >= self._next:
            self._next = now + LINE_EVERY
        return due


class _Smoothed:
    """An exponential moving average without a bias towards its start."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> float:
        self._sum = _SMOOTHING * self._sum + (1 - _SMOOTHING) * value
        self._weight = _SMOOTHING * self._weight + 1 - _SMOOTHING
        return self._sum / self._weight
