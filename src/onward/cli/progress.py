"""What a person sees while a model learns: a bar on a terminal, a line now and then elsewhere."""

import time
from typing import Protocol

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from onward.cli.output import messages
from onward.printable import without_controls
from onward.training.events import (
    CorpusEncoded,
    EpochStarted,
    Event,
    NothingToResume,
    OverBudget,
    Planned,
    ReadingCorpus,
    ReadOften,
    Replacing,
    RolledBack,
    Sampled,
    Started,
    Stepped,
    Validated,
)
from onward.units import nats_to_bits

LINE_EVERY = 15.0
"""Seconds between two lines about steps where there is no bar, and between two about epochs."""

FEWEST_TO_LEARN_FROM = 10_000
"""Symbols; of fewer a model is told to be of no use."""

_LITTLE = (
    f"\nthat is too little to learn much from: a useful model takes {FEWEST_TO_LEARN_FROM:,} symbols and more"
)
_SMOOTHING = 0.95


class Display(Protocol):
    """Shows how far a run is; used as a context, so that the terminal is left as it was."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *exception: object) -> None: ...

    def __call__(self, event: Event) -> None:
        """Something happened in the run."""
        ...


def display() -> Display:
    """The display for standard error as it is now."""
    console = messages()
    return Bar(console) if console.is_terminal else PlainProgress(console)


class Bar:
    """A progress bar with what happened above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._loss = _Smoothed()
        self._epochs = _Seldom()
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

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """See `Display`."""
        if isinstance(event, ReadingCorpus):
            self._move("reading", event.done, event.total, _megabytes(event))
        elif isinstance(event, Stepped):
            figures = "  ".join(_figures(event, self._loss.add(event.nats_per_symbol)))
            self._move("learning" if event.steps else "timing", event.step, event.steps, figures)
        elif isinstance(event, Sampled):
            self._console.print(Padding(Text(_brief(event.text), style="dim italic"), (0, 0, 0, 4)))
        elif isinstance(event, EpochStarted) and not self._epochs.due():
            pass
        elif line := describe(event):
            self._console.print(Text(line), soft_wrap=True)

    def _move(self, what: str, done: int, total: int | None, figures: str) -> None:
        self._progress.update(self._task, description=what, completed=done, total=total, figures=figures)


class PlainProgress:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._loss = _Smoothed()
        self._epochs, self._steps = _Seldom(), _Seldom(LINE_EVERY)

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """See `Display`."""
        if isinstance(event, ReadingCorpus):
            if self._steps.due():
                self._say(f"reading: {_megabytes(event)}")
        elif isinstance(event, Stepped):
            nats = self._loss.add(event.nats_per_symbol)
            if self._steps.due():
                of = f" of {event.steps:,}" if event.steps else ""
                self._say("  ".join([f"step {event.step:,}{of}", *_figures(event, nats)]))
        elif isinstance(event, EpochStarted) and not self._epochs.due():
            pass
        elif line := describe(event):
            self._say(line)

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def describe(event: Event) -> str:
    """One line about an event, or nothing where it is not worth one."""
    line = ""
    match event:
        case CorpusEncoded():
            line = _describe_corpus(event)
        case NothingToResume(path):
            line = f"there is no {path} to go on from: this run begins anew"
        case Replacing(path):
            line = f"{path} is a finished model: this run replaces it when it ends"
        case Started():
            line = _describe_start(event)
        case Planned(steps):
            line = f"{steps:,} steps fit the budget"
        case ReadOften(times):
            line = f"the text will be read {times:.1f} times over, and may be learned by heart"
            line += " (--dropout 0.1 to 0.3 helps)"
        case OverBudget(seconds):
            line = f"slower than when the steps were counted: about {_clock(seconds)} over the budget"
            line += " (Ctrl-C saves the run, --resume goes on)"
        case EpochStarted(epoch):
            line = f"epoch {epoch} begins: the state is reset"
        case Validated(step, nats, best):
            line = f"step {step:,}  held-out check {_loss(nats)}{'  best so far' if best else ''}"
        case RolledBack(step, to, reason, scale):
            rate = f"learning rates are now {scale:g} of the recipe's"
            line = f"step {step:,}  {reason}: back to step {to:,}, {rate}"
        case Sampled(step, text):
            line = f"step {step:,}  sample: {' '.join(_brief(text).split())}"
        case _:
            pass
    return line


def _describe_corpus(event: CorpusEncoded) -> str:
    """What was read, where it is more than a file of text."""
    parts = [f"{event.documents:,} files, {event.source_bytes / 1e6:,.1f} MB"] if event.documents > 1 else []
    if event.skipped:
        parts.append(f"{event.skipped:,} hidden or binary files left out")
    if event.replaced:
        remedy = "iconv -f LATIN1 -t UTF-8 FILE converts Latin-1, --symbols bytes reads anything"
        parts.append(
            f"{event.replaced:,} invalid bytes read as the unknown symbol: it is no UTF-8 ({remedy})"
        )
    return f"read {'; '.join(parts)}" if event.documents > 1 else "; ".join(parts)


def _describe_start(event: Started) -> str:
    different = _count(event.vocabulary, "different symbol")
    size = f"{event.parameters:,} parameters, {different}, {event.precision}"
    text = f"{_count(event.training_symbols, 'symbol')} to learn from, {event.validation_symbols:,} held out"
    again = f", going on from step {event.step:,}" if event.step else ""
    little = _LITTLE if event.training_symbols < FEWEST_TO_LEARN_FROM else ""
    return f"recipe {event.recipe}: {size}; {text}{again}{little}"


def _figures(event: Stepped, nats: float) -> list[str]:
    left = "" if event.seconds_left is None else f"{_clock(event.seconds_left)} left"
    return [part for part in (_loss(nats), f"{event.symbols_per_second:,.0f} symbols/s", left) if part]


def _count(number: int, name: str) -> str:
    """So many of something."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _megabytes(event: ReadingCorpus) -> str:
    return f"{event.done / 1e6:,.1f} of {event.total / 1e6:,.1f} MB"


def _loss(nats_per_symbol: float) -> str:
    return f"{nats_per_symbol:.3f} nats {nats_to_bits(nats_per_symbol):.3f} bits"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _brief(text: str, longest: int = 240) -> str:
    """The beginning of a sample, without what would move the cursor."""
    shown = without_controls(text.strip(), keep="\n")
    return shown if len(shown) <= longest else shown[:longest] + " …"


class _Seldom:
    """Says when `LINE_EVERY` seconds have passed since it last did; at first after `wait` seconds."""

    def __init__(self, wait: float = 0.0) -> None:
        self._next = time.monotonic() + wait

    def due(self) -> bool:
        now = time.monotonic()
        if due := now >= self._next:
            self._next = now + LINE_EVERY
        return due


class _Smoothed:
    """An exponential mean without a bias towards its start."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> float:
        self._sum = _SMOOTHING * self._sum + (1 - _SMOOTHING) * value
        self._weight = _SMOOTHING * self._weight + 1 - _SMOOTHING
        return self._sum / self._weight
