"""JSON as the server reads and writes it: no NaN, no infinity, and every string can be written."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from onward.serve.http.errors import ApiError, shortened

_EXAMPLE = 'send a JSON object, for example {"prompt": "what is "}'

PIECE_BYTES = 1 << 16
"""Approximate size of the pieces of a large JSON text. One takes about a millisecond to write."""


def parse(body: bytes | str) -> Any:
    """Returns the value of a JSON text.

    Raises:
        ApiError: the text is not JSON.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_float=_finite_float)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        message = f"expected JSON in UTF-8, got an invalid body: {shortened(reason)}"
        raise ApiError(400, "invalid_json", message, hint=_EXAMPLE) from None


def parse_object(body: bytes | str) -> dict[str, Any]:
    """Returns the JSON object of a body. An empty body counts as an empty object.

    Raises:
        ApiError: the body is not a JSON object.
    """
    value = parse(body) if body else {}
    if not isinstance(value, dict):
        message = f"expected a JSON object, got {_kind(value)}"
        raise ApiError(400, "invalid_json", message, hint=_EXAMPLE)
    return value


def dump(value: Any) -> bytes:
    """Returns a value as compact JSON. Text stays readable unless it has an unpaired surrogate."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # UTF-8 cannot hold an unpaired surrogate, an escape can
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def dump_members(members: Mapping[str, Any]) -> Iterator[bytes]:
    """Yields the parts of an object as JSON. Values that are iterators yield the parts of their JSON."""
    mark = b"{"
    for name, value in members.items():
        yield mark + dump(name) + b":"
        if isinstance(value, Iterator):
            yield from value
        else:
            yield dump(value)
        mark = b","
    yield b"{}" if mark == b"{" else b"}"


def dump_items(items: Iterable[Any]) -> Iterator[bytes]:
    """Yields the parts of a list as JSON. Items that are iterators yield the parts of their JSON."""
    mark = b"["
    for item in items:
        yield mark
        if isinstance(item, Iterator):
            yield from item
        else:
            yield dump(item)
        mark = b","
    yield b"[]" if mark == b"[" else b"]"


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Joins parts of a text to pieces of about `PIECE_BYTES`, which cost less to send."""
    waiting, size = list[bytes](), 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {shortened(digits)} is too large")
    return value


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
