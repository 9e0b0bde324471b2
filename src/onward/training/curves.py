"""The plot of a run: training and held-out loss over the number of symbols trained on."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onward.atomic import atomic_write
from onward.training.log import LoggedEvent, read_log
from onward.units import nats_to_bits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAINING, _VALIDATION, _GREY = "#4f6d8f", "#c2410c", "#64748b"
_MOST_EPOCHS = 12
"""Maximum number of epochs that are marked in a plot."""


def draw_curves(log: Path, output: Path, *, title: str) -> None:
    """Plots the losses in a log (see `log.RunLog`) to a PNG file.

    Raises:
        WriteError: the file could not be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second to import, and is needed once per run

    events = last_run(log)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    losses = [e for e in events if e.nats_per_symbol is not None]
    _draw_training(axes, [e for e in losses if e.event == "stepped" and e.symbols])
    _draw_checks(axes, [e for e in losses if e.event == "validated"], _symbols_per_step(events))
    _draw_epochs(axes, events, _symbols_per_step(events))
    _label(axes, title)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)  # where no line is
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    with atomic_write(output) as file:
        file.write(content.getvalue())


def _draw_training(axes: "Axes", steps: list[LoggedEvent]) -> None:
    """Draws the losses and their running mean. The steep start of the curve may be cut off."""
    nats = np.array([e.nats_per_symbol for e in steps], np.float64)
    where = np.array([e.symbols for e in steps], np.float64)
    axes.plot(where, nats, color=_TRAINING, linewidth=0.7, alpha=0.35)
    axes.plot(where, running_mean(where, nats), color=_TRAINING, linewidth=1.8, label="training, smoothed")
    if len(nats):
        lowest, high = nats.min(), nats[where >= 0.03 * where[-1]].max()
        axes.set_ylim(lowest - 0.08 * (high - lowest) - 0.05, high + 0.15 * (high - lowest) + 0.05)
        axes.set_xlim(0, 1.02 * where[-1])


def _draw_checks(axes: "Axes", checks: list[LoggedEvent], symbols_per_step: float) -> None:
    """Draws the held-out losses of the checks, and marks the lowest one, whose weights the model keeps.

    The checks after it are always within the plot, because they show whether the model overfits.
    """
    if not checks:
        return
    at = [e.step * symbols_per_step for e in checks]
    nats = [e.nats_per_symbol or 0.0 for e in checks]
    best = int(np.argmin(nats))
    figures = f"step {checks[best].step:,}, {nats[best]:.3f} nats = {nats_to_bits(nats[best]):.3f} bits"
    axes.plot(at, nats, "o-", color=_VALIDATION, linewidth=1.4, markersize=4, label="held-out checks")
    axes.plot(at[best], nats[best], "o", color=_VALIDATION, markersize=9, markerfacecolor="white",
              markeredgewidth=1.8, linestyle="none", label=f"kept: {figures}")  # fmt: skip
    low, high = axes.get_ylim()
    margin = 0.05 * (max(nats[best:]) - nats[best]) + 0.08
    axes.set_ylim(min(low, nats[best] - margin), max(high, max(nats[best:]) + margin))


def _draw_epochs(axes: "Axes", events: list[LoggedEvent], symbols_per_step: float) -> None:
    """Marks the starts of epochs."""
    begun = [e for e in events if e.event == "epochstarted" and e.epoch > 1]
    for event in begun[:: -(-len(begun) // _MOST_EPOCHS) or 1]:
        where = event.step * symbols_per_step
        axes.axvline(where, color=_GREY, linewidth=0.8, linestyle=(0, (1, 3)), zorder=0)
        axes.annotate(f"epoch {event.epoch}", (where, 0), (3, 4), xycoords=("data", "axes fraction"),
                      textcoords="offset points", fontsize=8, color=_GREY)  # fmt: skip


def _label(axes: "Axes", title: str) -> None:
    """Adds the title, and axes in nats and bits."""
    shown = title.encode("utf-8", "replace").decode()  # a file name may be invalid UTF-8
    axes.set_title(shown, loc="left", fontsize=11, fontweight="bold", pad=10, parse_math=False)
    axes.set_xlabel("symbols trained on")
    axes.set_ylabel("nats per symbol")
    factor = nats_to_bits(1.0)
    both_ways: Any = (lambda nats: nats * factor, lambda bits: bits / factor)
    bits = axes.secondary_yaxis("right", functions=both_ways)
    bits.set_ylabel("bits per symbol")
    axes.xaxis.set_major_formatter(lambda value, _: short_count(value))
    axes.grid(axis="y", alpha=0.25)
    for spine in (axes.spines["top"], axes.spines["right"], bits.spines["right"]):
        spine.set_visible(False)


def last_run(log: Path) -> list[LoggedEvent]:
    """Returns the events of a log, without those that a resumed run or a rollback repeated."""
    kept: list[LoggedEvent] = []
    for event in read_log(log):
        if event.event in ("started", "rolledback"):
            again = event.step if event.to is None else event.to
            kept = [e for e in kept if e.step <= again]
        kept.append(event)
    return kept


def _symbols_per_step(events: list[LoggedEvent]) -> float:
    """Returns the mean number of symbols per step; the last block of an epoch is shorter than the others."""
    last = next((e for e in reversed(events) if e.event == "stepped" and e.step), None)
    return last.symbols / last.step if last else 1.0


def running_mean(where: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the running mean over a fortieth of the run, for points that need not be evenly spaced."""
    reach = where[-1] / 80 if len(where) else 0.0
    first, last = np.searchsorted(where, where - reach), np.searchsorted(where, where + reach, side="right")
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[last] - sums[first]) / (last - first)


def short_count(value: float) -> str:
    """Returns a count in short form: 800 k, 2.4 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
