"""Draws the architecture of a model as a picture.

A rectangle is an input, a circle a hidden layer, and a triangle an output. Arrows have three colours:

    green     input to hidden, and from a layer to the layer above it
    orange    hidden to hidden, from one step to the next
    blue      hidden to output

The recurrent form shows one step, with loops; a dashed box surrounds the part that is repeated at every step.
The unrolled form has a column for each step.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onward.atomic import atomic_write
from onward.errors import InputError
from onward.layers.base import Layer
from onward.layers.gated_linear import GatedFeedForward
from onward.layers.stack import Residual
from onward.model import LanguageModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN, ORANGE, BLUE = "#2e8b57", "#e07b00", "#2563a8"
_INK, _GREY = "#1f2937", "#64748b"
_FILLS = {GREEN: "#e3f3ea", ORANGE: "#fdf0dd", BLUE: "#e2ecf8"}
_COLUMN, _ROW, _RADIUS = 2.1, 1.7, 0.46
_LABELS = 5.6  # width of the labels on the left
_LEGEND_WIDTH = 6.0  # width that a legend on one line needs, without the labels on the left
_MOST_STEPS, _MOST_ROWS = 32, 9  # largest numbers of unrolled steps, and of rows for hidden layers
FORMATS = (".svg", ".png")

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The label of a row: the name of a layer, and a text about its size."""

    name: str
    size: str


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The architecture to draw.

    Attributes:
        source: label of the input.
        hidden: labels of the layers with a state, from the bottom up.
        target: label of the output.
        every: whether each step has an output; otherwise only the last step has one.
        start: whether to draw the state before the first step, as zeros.
    """

    source: Part
    hidden: tuple[Part, ...]
    target: Part
    every: bool = True
    start: bool = True


def graph_of(model: LanguageModel) -> Graph:
    """Returns the graph of a model. A feed-forward layer is mentioned in the label of the layer below it."""
    config = model.config
    hidden: list[Part] = []
    for layer in model.stack.layers:
        inner = layer.layer if isinstance(layer, Residual) else layer
        if isinstance(inner, Layer) and inner.initial_state(1):
            size = f"{inner.width_out:,} wide" + (", residual" if layer is not inner else "")
            hidden.append(Part(name=type(inner).__name__, size=size))
        elif isinstance(inner, GatedFeedForward) and hidden:
            hidden[-1] = Part(name=hidden[-1].name, size=f"{hidden[-1].size}, feed-forward")
    return Graph(
        source=Part(name="input", size=f"{config.symbols:,} symbols, {config.width:,} wide"),
        hidden=tuple(hidden),
        target=Part(name="output", size=f"{config.symbols:,} symbols"),
    )


def draw(graph: Graph, path: str | Path, *, unrolled: int = 0) -> Path:
    """Writes a picture of a graph.

    Args:
        graph: the graph to draw; `graph_of` returns that of a model.
        path: the picture file, which ends in .svg or .png.
        unrolled: number of steps to draw in the unrolled form; 0 draws the recurrent form.

    Returns:
        The path.

    Raises:
        InputError: the file name has another suffix, or there are too many steps.
        WriteError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"expected a picture file that ends in {' or '.join(FORMATS)}, got {path.name!r}")
    if not 0 <= unrolled <= _MOST_STEPS:
        raise InputError(f"expected 0 to {_MOST_STEPS} unrolled steps, got {unrolled}")
    import matplotlib as mpl  # noqa: PLC0415 - takes a second to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    width, height = paint(axes, graph, unrolled=unrolled)
    figure.set_size_inches(0.5 * width, 0.5 * height)
    content = io.BytesIO()
    suffix = path.suffix.lower()[1:]
    # With a random salt or the date, the same graph would give a different file each time.
    with mpl.rc_context({"svg.hashsalt": "onward"}):
        figure.savefig(content, format=suffix, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
    with atomic_write(path) as file:
        file.write(content.getvalue())
    return path


def paint(axes: "Axes", graph: Graph, *, unrolled: int = 0) -> Point:
    """Draws a graph on axes, and returns the width and height of the picture in units of the axes."""
    canvas = _Canvas(axes, graph)
    right = _unrolled(canvas, graph, unrolled) if unrolled else _recurrent(canvas, graph)
    canvas.name_rows()
    canvas.legend(right)
    left, bottom, top = -_LABELS, -2.5 if right < _LEGEND_WIDTH else -1.9, canvas.height(canvas.last) + 1.3
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    return right - left, top - bottom


def _hidden_rows(hidden: tuple[Part, ...]) -> list[Part | None]:
    """Returns the rows of the layers. If there are too many layers, None replaces those in the middle."""
    if len(hidden) <= _MOST_ROWS:
        return list(hidden)
    half = _MOST_ROWS // 2
    return [*hidden[:half], None, *hidden[-half:]]


class _Canvas:
    """Draws shapes and arrows in a grid. Row 0 is the input, the last row is the output."""

    def __init__(self, axes: "Axes", graph: Graph) -> None:
        self.axes, self.layers = axes, len(graph.hidden)
        self.rows = [graph.source, *_hidden_rows(graph.hidden), graph.target]
        self.last = len(self.rows) - 1

    def height(self, row: int) -> float:
        """Returns the y coordinate of a row."""
        return row * _ROW

    def shape(self, row: int, x: float, label: str) -> None:
        """Draws the shape of a row at x, with a label inside."""
        from matplotlib import patches  # noqa: PLC0415

        y = self.height(row)
        if row == 0:
            side = 2 * _RADIUS * 0.9
            patch, colour = patches.Rectangle((x - side / 2, y - side / 2), side, side), GREEN
        elif row == self.last:
            corners = [(x - 0.62, y - 0.42), (x + 0.62, y - 0.42), (x, y + 0.64)]
            patch, colour = patches.Polygon(corners, joinstyle="round"), BLUE
            y -= 0.12
        else:
            patch, colour = patches.Circle((x, y), _RADIUS), ORANGE
        patch.set(facecolor=_FILLS[colour], edgecolor=colour, linewidth=1.6, zorder=3)
        self.axes.add_patch(patch)
        self.text(x, y, label, size=10)

    def text(
        self, x: float, y: float, label: str, *, size: float, colour: str = _INK, **options: Any
    ) -> None:
        options = {"ha": "center", "va": "center", **options}
        self.axes.text(x, y, label, fontsize=size, color=colour, zorder=5, **options)

    def arrow(self, start: Point, end: Point, colour: str, **options: Any) -> None:
        from matplotlib.patches import FancyArrowPatch  # noqa: PLC0415

        options = {"shrinkA": 0, "shrinkB": 0, "linewidth": 1.8, **options}
        style = "-|>,head_length=5,head_width=3"
        self.axes.add_patch(FancyArrowPatch(start, end, arrowstyle=style, color=colour, zorder=2, **options))

    def arrow_up(self, row: int, x: float) -> None:
        """Draws an arrow from a row to the row above it."""
        colour = BLUE if row + 1 == self.last else GREEN
        gap = _RADIUS + 0.08
        below, above = self.height(row) + gap, self.height(row + 1) - gap
        self.arrow((x, below), (x, above), colour)

    def arrow_right(self, row: int, x: float, to: float) -> None:
        """Draws an arrow from the state of one step, at x, to that of the next step."""
        gap, y = _RADIUS + 0.08, self.height(row)
        self.arrow((x + gap, y), (to - gap, y), ORANGE)

    def loop(self, row: int, x: float) -> None:
        """Draws an arrow from a state back to itself."""
        y, reach = self.height(row), _RADIUS + 0.04
        start, end = (x + 0.72 * reach, y + 0.72 * reach), (x + 0.72 * reach, y - 0.72 * reach)
        self.arrow(start, end, ORANGE, connectionstyle="arc3,rad=-1.5")

    def dots(self, row: int, x: float) -> None:
        """Draws an ellipsis in place of the layers that are left out."""
        self.text(x, self.height(row), "⋮", size=16, colour=_GREY)

    def column(self, x: float, time: str, *, output: bool) -> None:
        """Draws the shapes of a step and the arrows between them, with or without the output."""
        top = self.last if output else self.last - 1
        for row in range(top + 1):
            if self.rows[row] is None:
                self.dots(row, x)
            else:
                self.shape(row, x, f"${self._letter(row)}_{{{time}}}$")
            if row < top:
                self.arrow_up(row, x)

    def _letter(self, row: int) -> str:
        if row in (0, self.last):
            return "y" if row else "x"
        if self.last == 2:
            return "h"
        # Layers above the ellipsis keep their numbers.
        number = self.layers - (self.last - 1 - row) if None in self.rows[:row] else row
        return f"h^{{{number}}}"

    def name_rows(self) -> None:
        """Draws the labels of the rows, on the left."""
        for row, part in enumerate(self.rows):
            y = self.height(row)
            if part is None:
                more = f"{self.layers - self.last + 2:,} more"
                self.text(-_LABELS + 0.3, y, more, size=8, colour=_GREY, ha="left")
            else:
                self.text(-_LABELS + 0.3, y + 0.17, part.name, size=10, ha="left", fontweight="bold")
                self.text(-_LABELS + 0.3, y - 0.22, part.size, size=8, colour=_GREY, ha="left")

    def box(self, left: float, right: float, bottom: float, top: float, label: str) -> None:
        """Draws a dashed box with a label."""
        from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415

        style = "round,pad=0,rounding_size=0.25"
        edge = {"facecolor": "none", "edgecolor": _GREY, "linestyle": (0, (5, 3)), "linewidth": 1.2}
        self.axes.add_patch(FancyBboxPatch((left, bottom), right - left, top - bottom, style, **edge))
        self.text(right - 0.2, bottom + 0.25, label, size=8, colour=_GREY, ha="right")

    def legend(self, right: float) -> None:
        """Draws the legend of the colours: on one line, or on three if the picture is narrow."""
        meanings = ((GREEN, "input to hidden"), (ORANGE, "hidden to hidden"), (BLUE, "hidden to output"))
        left = -_LABELS + 0.3
        for i, (colour, meaning) in enumerate(meanings):
            x, y = (left, -1.2 - 0.42 * i) if right < _LEGEND_WIDTH else (left + 3.8 * i, -1.4)
            self.arrow((x, y), (x + 0.75, y), colour)
            self.text(x + 0.95, y, meaning, size=8.5, ha="left")


def _recurrent(canvas: _Canvas, graph: Graph) -> float:
    """Draws one step with loops and the dashed box; returns the x coordinate of the right border."""
    x, right = 0.9, 3.1
    canvas.column(x, "t", output=True)
    for row in range(1, canvas.last):
        if canvas.rows[row] is not None:
            canvas.loop(row, x)
    top = canvas.height(canvas.last if graph.every else canvas.last - 1)
    canvas.box(-0.3, right - 0.3, -1.08, top + (0.85 if graph.every else 0.66), "for each step t")
    return right


def _unrolled(canvas: _Canvas, graph: Graph, steps: int) -> float:
    """Draws a column for each step; returns the x coordinate of the right border."""
    first = _COLUMN if graph.start else 0.4
    for t in range(steps):
        x = first + t * _COLUMN
        canvas.column(x, str(t + 1), output=graph.every or t == steps - 1)
        for row in range(1, canvas.last):
            if canvas.rows[row] is not None and (t or graph.start):
                canvas.arrow_right(row, x - _COLUMN, x)
    if graph.start:
        for row in range(1, canvas.last):
            if canvas.rows[row] is not None:
                canvas.text(0.3, canvas.height(row), "0", size=10, colour=_GREY)
    return first + (steps - 1) * _COLUMN + 1.2
