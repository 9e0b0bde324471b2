"""Rung `graph`: pictures of the computational graphs.

New here: **the networks of the ladder as pictures**, in the notation of the lesson's slides. `onward draw
MODEL` draws any onward model in the same notation:

    rectangle    input              green     input to hidden
    circle       hidden             orange    hidden to hidden
    triangle     output             blue      hidden to output

The dashed box is the loop: its content exists once in memory and is used at every step. In an unrolled graph,
each step is a column, and corresponding arrows in all columns are the same matrix.

Expect five pictures in a few seconds.
"""

from pathlib import Path

from onward.draw import Graph, Part, draw
from onward.lesson.rung import LessonSettings, Outcome, Rung

RUNG = Rung(
    name="graph",
    new="drawings of the computational graphs, unrolled and recurrent",
    measure="number of pictures",
    lesson=None,
    target=None,
    minutes=0.2,
    text="",
)
CHARACTER = Part(name="character", size="86 symbols, embedding of 42")
NEXT = Part(name="next character", size="86 symbols")

THREE = Graph(
    source=CHARACTER, hidden=(Part(name="hidden", size="256 wide"),), target=NEXT, every=False, start=False
)
SEQUENCE = Graph(
    source=CHARACTER, hidden=(Part(name="SimpleRNN", size="256, relu, identity at first"),), target=NEXT
)
EIGHT = Graph(source=CHARACTER, hidden=SEQUENCE.hidden, target=NEXT, every=False)
DEEP = Graph(
    source=Part(name="character", size="lower case, embedding of 24"),
    hidden=(
        Part(name="LSTM", size="512, after batch norm, dropout 0.2"),
        Part(name="LSTM", size="512, dropout 0.2"),
    ),
    target=Part(name="next character", size="lower case"),
)
PICTURES = {
    "lesson-graph-three": (THREE, 3),
    "lesson-graph-eight": (EIGHT, 0),
    "lesson-graph": (SEQUENCE, 8),
    "lesson-graph-sequence": (SEQUENCE, 0),
    "lesson-graph-deep": (DEEP, 4),
}
"""The graph in each file, and the number of unrolled steps; 0 draws the recurrent form."""


def draw_all(folder: Path) -> tuple[Path, ...]:
    """Draws the networks of the ladder as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        draw(graph, folder / f"{name}.png", unrolled=unrolled) for name, (graph, unrolled) in PICTURES.items()
    )


def run(settings: LessonSettings) -> Outcome:
    """Draws the pictures if there is a folder for them."""
    if settings.pictures is None:
        settings.report("this rung only draws pictures: run onward lesson graph --pictures FOLDER")
        return Outcome(figure=0.0)
    drawn = draw_all(settings.pictures)
    for picture in drawn:
        settings.report(f"drew {picture}")
    return Outcome(figure=float(len(drawn)), pictures=drawn)
