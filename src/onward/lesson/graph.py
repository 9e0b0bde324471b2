"""Rung `graph`: the computational graph, drawn.

New here: **nothing that computes**. The networks of the ladder, in the notation that the lesson drew on its
slides, by the module that draws any model of onward's (`onward draw MODEL`):

    rectangle    input              green     input to hidden
    circle       hidden             orange    hidden to hidden
    triangle     output             blue      hidden to output

The dashed box is the loop. What it holds is there once in the program and once in memory, and is used at
every step; unrolled, each step is a column, and the same arrow in each column is the same matrix.

Expect five pictures in a few seconds.
"""

from pathlib import Path

from onward.draw import Graph, Part, draw
from onward.lesson.rung import LessonSettings, Outcome, Rung

RUNG = Rung(
    name="graph",
    new="the computational graph drawn: shapes, colours, the loop, unrolled and recurrent",
    measure="pictures drawn",
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
"""Each file's graph, and how many steps of it are unrolled; 0 is the recurrent form."""


def draw_all(folder: Path) -> tuple[Path, ...]:
    """The graphs of the ladder's networks, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        draw(graph, folder / f"{name}.png", unrolled=unrolled) for name, (graph, unrolled) in PICTURES.items()
    )


def run(settings: LessonSettings) -> Outcome:
    """Draws them, where pictures are wanted."""
    if settings.pictures is None:
        settings.say("this rung only draws; give it a folder: onward lesson graph --pictures FOLDER")
        return Outcome(figure=0.0)
    drawn = draw_all(settings.pictures)
    for picture in drawn:
        settings.say(f"drew {picture}")
    return Outcome(figure=float(len(drawn)), pictures=drawn)
