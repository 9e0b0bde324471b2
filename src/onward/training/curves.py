"""The picture of a run: its losses along the symbols it was trained on."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from onward.atomic import atomic_write
from onward.units import bits_to_nats, nats_to_bits

_TRAINING, _VALIDATION, _QUIET = "#7a869a", "#c2410c", "#475569"


def draw_curves(log: Path, picture: Path, *, title: str) -> None:
    """Draws the losses that a log (see `report.Log`) tells of into a PNG file.

    Raises:
        WriteError: the disk refused.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import, needed once a run

    events = _last_run(log)
    steps = [e for e in events if e["event"] == "stepped"]
    checks = [e for e in events if e["event"] == "validated"]
    symbols = {e["step"]: e["symbols"] for e in steps}
    per_step = steps[-1]["symbols"] / steps[-1]["step"] if steps else 1.0
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    nats = np.array([e["nats_per_symbol"] for e in steps])
    where = np.array([e["symbols"] for e in steps])
    axes.plot(where, nats, color=_TRAINING, linewidth=0.6, alpha=0.45)
    axes.plot(where, _smoothed(nats), color=_TRAINING, linewidth=1.8, label="training, smoothed")
    if checks:
        at = [symbols.get(e["step"], e["step"] * per_step) for e in checks]
        losses = [e["nats_per_symbol"] for e in checks]
        axes.plot(at, losses, "o-", color=_VALIDATION, linewidth=1.8, markersize=5, label="held-out check")
        best = int(np.argmin(losses))
        axes.annotate(
            f"{losses[best]:.3f} nats = {nats_to_bits(losses[best]):.3f} bits",
            (at[best], losses[best]),
            (0, 14),
            textcoords="offset points",
            ha="right" if best > len(losses) / 2 else "left",
            color=_VALIDATION,
        )
    _dress(axes, title, events, nats)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    with atomic_write(picture) as file:
        file.write(content.getvalue())


def _dress(axes: Any, title: str, events: list[dict], nats: np.ndarray) -> None:
    """Titles, axes in nats and in bits, a mark at each epoch's start."""
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("symbols trained on")
    axes.set_ylabel("nats per symbol")
    axes.secondary_yaxis("right", functions=(nats_to_bits, bits_to_nats)).set_ylabel("bits per symbol")
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    if len(nats):
        lowest = min([*nats, *(e["nats_per_symbol"] for e in events if e["event"] == "validated")])
        axes.set_ylim(lowest - 0.15, max(np.quantile(nats, 0.97), lowest + 0.5) + 0.1)
    reached = 0
    for event in events:
        if event["event"] == "stepped":
            reached = event["symbols"]
        elif event["event"] == "epochstarted" and event["epoch"] > 1:
            axes.axvline(reached, color=_QUIET, linewidth=0.8, linestyle=":", zorder=0)
            axes.text(reached, 0.98, f" epoch {event['epoch']}", transform=axes.get_xaxis_transform(),
                      va="top", fontsize=8, color=_QUIET)  # fmt: skip
    axes.grid(axis="y", alpha=0.25)
    axes.spines["top"].set_visible(False)
    axes.legend(frameon=False, loc="upper right")


def _last_run(log: Path) -> list[dict]:
    """The events that led to the end: of steps made again after a kill, the last making."""
    kept: list[dict] = []
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] in ("started", "rolledback"):
            again = event.get("to", event["step"])
            kept = [e for e in kept if e.get("step", 0) <= again]
        kept.append(event)
    return kept


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The running mean over about a twentieth of the values."""
    width = max(1, len(values) // 20) | 1
    padded = np.pad(values, width // 2, mode="edge") if len(values) else values
    return np.convolve(padded, np.ones(width) / width, mode="valid") if len(values) else values


def _short(value: float) -> str:
    """A count as people write it: 800 k, 2.4 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
