"""HTML pages, rendered from the templates and static files of this package.

Every page extends `templates/page.html.j2`. A page is one file without external resources. Its content
security policy allows only its own style and script. The templates escape all values, so that text cannot
become markup.

Inside a template:

    static(name, ...)       the concatenated content of files in `static/`
    bits | surprise_class   the CSS class that colours a symbol by its surprise
    probability | percent   the probability in percent
    text | source_hash      the hash that allows an inline style or script
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, BinaryIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from onward.units import as_percent

SURPRISE_LEVELS = 10
"""Number of colours: one for each bit of surprise; the last one is for all higher surprises too."""


def render(template: str, **values: Any) -> str:
    """Renders a template to a string."""
    return _environment().get_template(template).render(values)


def render_to(file: BinaryIO, template: str, **values: Any) -> None:
    """Renders a template into a file, piece by piece, as UTF-8."""
    for piece in _environment().get_template(template).generate(values):
        file.write(piece.encode("utf-8", "replace"))


def static_file(name: str) -> Traversable:
    """Returns a file that pages share, such as `reading.js`."""
    return files("onward").joinpath("static", name)


def surprise_class(bits: float) -> str:
    """Returns the CSS class of a surprise: `s0` below one bit, up to `s9` for 9 bits and more."""
    return f"s{min(int(max(bits, 0.0)), SURPRISE_LEVELS - 1)}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("onward"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(static=_static, surprise_levels=SURPRISE_LEVELS)
    environment.filters.update(percent=as_percent, source_hash=_source_hash, surprise_class=surprise_class)
    return environment


def _static(*names: str) -> Markup:
    return Markup("").join(Markup(static_file(name).read_text(encoding="utf-8")) for name in names)


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
