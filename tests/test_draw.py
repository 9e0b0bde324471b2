"""Drawings of models: shapes, arrows, labels, and errors."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from onward.cli.app import run
from onward.draw import BLUE, GREEN, ORANGE, Graph, Part, draw, graph_of, paint
from onward.errors import InputError, WriteError
from onward.model import LanguageModel, ModelConfig


def model(layer: str = "lstm", layers: int = 2) -> LanguageModel:
    return LanguageModel(ModelConfig(symbols=86, layer=layer, width=8, layers=layers))  # type: ignore[arg-type]


def painted(graph: Graph, unrolled: int = 0) -> Axes:
    figure = Figure(dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    width, height = paint(axes, graph, unrolled=unrolled)
    figure.set_size_inches(0.5 * width, 0.5 * height)
    figure.draw_without_rendering()
    return axes


def shapes(axes: Axes) -> Counter[type]:
    return Counter(type(patch) for patch in axes.patches)


def arrows(axes: Axes) -> Counter[str]:
    """Counts the arrows by colour, without those of the legend."""
    drawn = [to_hex(p.get_edgecolor()) for p in axes.patches if isinstance(p, FancyArrowPatch)]
    legend: list[str] = [GREEN, ORANGE, BLUE]
    return Counter(drawn) - Counter(legend)


def test_the_recurrent_form_has_one_column_with_loops_and_a_box():
    axes = painted(graph_of(model()))
    counts = shapes(axes)
    assert (counts[Rectangle], counts[Circle], counts[Polygon], counts[FancyBboxPatch]) == (1, 2, 1, 1)
    assert arrows(axes) == {GREEN: 2, ORANGE: 2, BLUE: 1}


def test_the_unrolled_form_has_one_column_per_step_and_no_box():
    axes = painted(graph_of(model()), unrolled=3)
    counts = shapes(axes)
    assert (counts[Rectangle], counts[Circle], counts[Polygon], counts[FancyBboxPatch]) == (3, 6, 3, 0)
    assert arrows(axes) == {GREEN: 6, ORANGE: 6, BLUE: 3}


def test_a_graph_with_one_output_and_without_a_first_state():
    hidden = (Part(name="hidden", size=""),)
    part = Part(name="symbol", size="")
    axes = painted(Graph(source=part, hidden=hidden, target=part, every=False, start=False), unrolled=3)
    assert shapes(axes)[Polygon] == 1
    assert arrows(axes) == {GREEN: 3, ORANGE: 2, BLUE: 1}


@pytest.mark.parametrize(
    ("layer", "name"),
    [("gated", "GatedLinear"), ("lstm", "LSTM"), ("gru", "GRU"), ("simple", "SimpleRNN")],
)
def test_every_layer_of_every_model_is_named(layer: str, name: str):
    graph = graph_of(model(layer, 3))
    assert [part.name for part in graph.hidden] == [name] * 3
    assert "86" in graph.source.size


@pytest.mark.parametrize("unrolled", [0, 1, 2, 8])
@pytest.mark.parametrize(("layer", "layers"), [("gated", 1), ("lstm", 4), ("simple", 40)])
def test_labels_do_not_overlap_and_are_inside_the_picture(layer: str, layers: int, unrolled: int):
    axes = painted(graph_of(model(layer, layers)), unrolled)
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes)


def test_many_layers_are_elided_and_the_last_keeps_its_number():
    labels = [text.get_text() for text in painted(graph_of(model("gru", 40))).texts]
    assert "32 more" in labels
    assert "$h^{4}_{t}$" in labels and "$h^{37}_{t}$" in labels and "$h^{40}_{t}$" in labels
    assert "$h^{5}_{t}$" not in labels


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_same_model_gives_the_same_file(tmp_path: Path, suffix: str):
    first, second = (draw(graph_of(model()), tmp_path / f"{i}.{suffix}", unrolled=2) for i in range(2))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().lstrip().startswith(b"<?xml" if suffix == "svg" else b"\x89PNG")


def test_wrong_formats_and_numbers_of_steps_are_refused(tmp_path: Path):
    graph = graph_of(model())
    with pytest.raises(InputError, match=r"\.svg or \.png, got 'a\.jpg'"):
        draw(graph, tmp_path / "a.jpg")
    with pytest.raises(InputError, match="from 1 to 32 steps"):
        draw(graph, tmp_path / "a.png", unrolled=33)
    with pytest.raises(WriteError):
        draw(graph, tmp_path / "missing" / "a.png")
    assert not list(tmp_path.iterdir())


def test_the_draw_command_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    golden = Path(__file__).parent / "golden" / "format_1.onward"
    picture = tmp_path / "model.svg"
    assert run(["draw", str(golden), "--unrolled", "3", "-o", str(picture)]) == 0
    assert picture.stat().st_size > 5_000
    assert run(["draw", str(golden), "-o", str(tmp_path / "model.gif")]) == 2
    assert "error: a picture ends in .svg or .png" in capsys.readouterr().err
