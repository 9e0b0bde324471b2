"""Writes a model as a page: one HTML file that completes, colours and continues text without a server.

The page is the typing page of `onward serve`, with its scripts and styles. Its module `api.js` is another one
(`static/api.js`), which runs the model in WebAssembly in place of asking a server.
"""

import base64
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from onward.atomic import atomic_write
from onward.description import curve_of, facts_of
from onward.errors import ArtefactError
from onward.export.bundle import bundle
from onward.export.program import portable_program
from onward.html import render_to
from onward.inference.step.sampling import never_drawn
from onward.inference.trained_model import TrainedModel
from onward.outputs import refuse_to_replace_other

GENERATOR = "onward export"
"""Marks an exported page, in its head."""

MOST_POINTS = 1_000
"""Maximum number of training losses in a page."""

_HEAD = 1_000  # bytes of a page that hold the mark
_PAGE = files("onward").joinpath("serve", "static", "page")
_SHARED = files("onward").joinpath("static")
_OWN = files("onward").joinpath("export", "static")
_STYLES = _SHARED.joinpath("reading.css"), _PAGE.joinpath("page.css")


def export_page(trained: TrainedModel, output: str | os.PathLike[str], *, name: str = "") -> None:
    """Writes the page of a model atomically. The matrices of the model are rounded to bfloat16.

    Args:
        trained: the model.
        output: the file. An existing file is replaced if it is such a page.
        name: name of the model on the page; by default that of its file.

    Raises:
        ArtefactError: the model is a detector.
        InputError: the output is a file that is not such a page.
        WriteError: the file cannot be written.
    """
    if trained.artefact.watch is not None:
        raise ArtefactError(
            "expected a model of text, got a detector, which models events",
            hint="name a model that `onward train` wrote",
        )
    path = Path(output)
    refuse_to_replace_other(path, [trained.path] if trained.path else [], is_page, "page")
    program, weights = portable_program(trained.model)
    name = name or (trained.path.stem if trained.path else "model")
    with atomic_write(path) as file:
        render_to(
            file,
            "exported_page.html.j2",
            generator=GENERATOR,
            exported=_description(trained, program, name),
            script=Markup(page_script("page.js")),
            style=Markup("".join(sheet.read_text(encoding="utf-8") for sheet in _STYLES)),
            icon=_base64(_PAGE.joinpath("icon.svg").read_bytes()),
            wasm=_base64(files("onward").joinpath("export", "step.wasm").read_bytes()),
            weights=_base64(weights),
        )


def page_script(entry: str) -> str:
    """Returns a script with a module of the page, such as "page.js", and all modules that it imports."""
    return bundle(entry, [_OWN, _PAGE, _SHARED])


def is_page(path: Path) -> bool:
    """Returns whether a file is a page that `export_page` wrote."""
    with path.open("rb") as file:
        return f'<meta name="generator" content="{GENERATOR}">'.encode() in file.read(_HEAD)


def _description(trained: TrainedModel, program: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns everything that the page knows about the model, except the weights."""
    vocabulary = trained.vocabulary
    curve = curve_of(trained)
    return {
        "program": program,
        "model": {"id": name} | facts_of(trained),
        "curve": curve and curve | {"training": _thinned(curve["training"])},
        "beginning": trained.beginning.tolist(),
        "never": never_drawn(ends=trained.has_ends),
        "vocabulary": {
            "kind": vocabulary.kind,
            "lower": vocabulary.lower,
            "marks": vocabulary.marks,
            "symbols": list(vocabulary.symbols),
            "names": [vocabulary.symbol(i) for i in range(len(vocabulary))],
        },
    }


def _thinned(points: list[dict[str, float | int]]) -> list[dict[str, float | int]]:
    """Returns at most `MOST_POINTS` of the points, evenly spaced."""
    return points[:: -(-len(points) // MOST_POINTS) or 1]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
