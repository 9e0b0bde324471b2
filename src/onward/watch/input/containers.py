"""Container logs: the lines that a container wrote, each wrapped with its time and its stream.

    cri      2026-11-01T10:00:00.1Z stdout F content     (Kubernetes: containerd and CRI-O)
    docker   {"log": "content\n", "stream": "stdout", "time": "2026-11-01T10:00:00.1Z"}

A long line comes in parts, which are joined: all but the last have the tag P, or no line end.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from onward.watch.input.format import Container
from onward.watch.input.lines import LONGEST_LINE, plain_text
from onward.watch.input.times import parse_time

_CRI = re.compile(r"(\S+) (stdout|stderr) ([FP])(?::\S*)? ?(.*)", re.DOTALL)
_SHARE = 0.9
_PENDING = TypeAdapter(dict[str, str])


class ContainerLine(NamedTuple):
    """A line that a container wrote.

    Attributes:
        content: the line.
        time: seconds since 1970; None if it is not known.
    """

    content: str
    time: float | None


class ContainerLines:
    """Joins the parts of lines.

    Args:
        kind: kind of container log.
    """

    def __init__(self, kind: Container) -> None:
        self._split = {"cri": _split_cri, "docker": _split_docker}[kind]
        self._pending: dict[str, str] = {}  # parts by stream

    def add(self, line: str) -> ContainerLine | None:
        """Returns the line that one more part completes, if any.

        Raises:
            ValueError: the line is not one of such a log.
        """
        part = self._split(line)
        content = self._pending.pop(part.stream, "") + part.content
        if not part.is_last and len(content) < LONGEST_LINE:
            self._pending[part.stream] = content
            return None
        time = None
        with suppress(ValueError):
            time = parse_time(part.time)
        return ContainerLine(plain_text(content), time)

    def finish(self) -> list[ContainerLine]:
        """Returns the pending lines, at the end of the source."""
        pending, self._pending = self._pending, {}
        return [ContainerLine(plain_text(content), None) for content in pending.values()]

    def to_json(self) -> dict[str, str]:
        """Returns the pending parts, for `restore`."""
        return dict(self._pending)

    def restore(self, data: Any) -> None:
        """Continues from `to_json`.

        Raises:
            ValueError: the data is not such a state.
        """
        self._pending = _PENDING.validate_python(data, strict=True)


class _Part(NamedTuple):
    time: str
    stream: str
    content: str
    is_last: bool


def container_of(lines: Sequence[str]) -> Container | None:
    """Returns the kind of container log that nearly all lines belong to, if any."""
    if lines and sum(bool(_CRI.fullmatch(line)) for line in lines) >= _SHARE * len(lines):
        return "cri"
    if lines and sum(map(_is_docker, lines)) >= _SHARE * len(lines):
        return "docker"
    return None


def _is_docker(line: str) -> bool:
    with suppress(ValueError):
        return bool(_split_docker(line))
    return False


def _split_cri(line: str) -> _Part:
    if not (found := _CRI.fullmatch(line)):
        raise ValueError("not a line of a Kubernetes container log")
    return _Part(found[1], found[2], found[4], found[3] == "F")


def _split_docker(line: str) -> _Part:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    match values:
        case {"log": str(content), "stream": str(stream), "time": str(time)}:
            return _Part(time, stream, content.rstrip("\r\n"), content.endswith("\n"))
    raise ValueError("not a line of a Docker container log")
