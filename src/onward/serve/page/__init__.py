"""The page of the server: its files, and the policy that a browser holds it to.

The files are plain HTML, CSS and ES modules, served as they are. Files that other pages use too are in
`onward/static`.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from onward.html import static_file

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing from elsewhere, nothing inline."""

SHARED = ("reading.css", "reading.js")
"""Files of `onward/static` that this page uses."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """A file as it is sent.

    Attributes:
        content: its bytes.
        media_type: for the header Content-Type.
    """

    content: bytes
    media_type: str


def assets() -> dict[str, Asset]:
    """Every file of the page by its path on the server: the page at "/", the others under "/page/"."""
    own = [file for file in files("onward.serve.page").iterdir() if _suffix(file) in _TYPES]
    shared = [static_file(name) for name in SHARED]
    return {_path(file): asset(file) for file in [*own, *shared]}


def asset(file: Traversable) -> Asset:
    """A file of a page, as it is sent."""
    return Asset(file.read_bytes(), _TYPES[_suffix(file)])


def _path(file: Traversable) -> str:
    """Where a file is found on the server."""
    return "/" if file.name == "index.html" else f"/page/{file.name}"


def _suffix(file: Traversable) -> str:
    """The end of a file's name, with its dot."""
    return "." + file.name.rpartition(".")[2]
