"""Looks up models and detectors by name; a request may leave the name out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from onward.errors import InputError
from onward.serve.http.errors import ApiError

T = TypeVar("T")

LONGEST_NAME = 200
"""Maximum number of characters of a name in a request."""


class Lookup(Generic[T]):
    """Served models or detectors by name, in the order of the command line. The first is the default.

    Args:
        kind: plural noun for the served things, such as "models".
        served: the models or detectors by name.
        remedy: how to start a server that has one, for the error message of a server that has none.
    """

    def __init__(self, kind: str, served: Mapping[str, T], *, remedy: str) -> None:
        self._kind, self._served, self._remedy = kind, served, remedy

    def __iter__(self) -> Iterator[T]:
        return iter(self._served.values())

    def __len__(self) -> int:
        return len(self._served)

    def __contains__(self, name: str) -> bool:
        return name in self._served

    def get(self, name: str | None) -> T:
        """Returns the model or detector of a name; for None, the first one.

        Raises:
            ApiError: 404, there is none.
        """
        if not self._served:
            message = f"this server has no {self._kind}"
            raise ApiError(404, "model_not_found", message, param="model", hint=self._remedy)
        if name is None:
            return next(iter(self))
        if name not in self._served:
            names, given = ", ".join(self._served), name[:LONGEST_NAME]
            message = f"expected one of the {self._kind} {names}, got {given!r}"
            hint = "leave model out to use the first one"
            raise ApiError(404, "model_not_found", message, param="model", hint=hint)
        return self._served[name]


def paths_by_name(kind: str, paths: Sequence[Path]) -> dict[str, Path]:
    """Names each file by its file name without the extension.

    Args:
        kind: plural noun for the content of the files.
        paths: paths of the files.

    Raises:
        InputError: two files have the same name.
    """
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            raise InputError(
                f"expected {kind} with different names, got two with the name {path.stem!r}",
                hint="each is named after its file: rename one of the files",
            )
        named[path.stem] = path
    return named
