"""Draws the pictures of the rungs in one style."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onward.atomic import atomic_write

Paint = Callable[[Any], None]
"""A function that draws on the axes of matplotlib."""


def save_picture(path: Path, title: str, *paints: Paint, size: tuple[float, float] = (8, 4.5)) -> Path:
    """Draws one or several panels side by side, and saves them as a PNG file.

    Args:
        path: the file.
        title: title above all panels.
        paints: one function per panel.
        size: width and height in inches.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second, and not every run draws

    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(paints), squeeze=False)[0]
    for axes, paint in zip(panels, paints, strict=True):
        axes.spines[["top", "right"]].set_visible(False)
        paint(axes)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(content.getvalue())
    return path
