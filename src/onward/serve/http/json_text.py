"""JSON as the server reads and writes it: no NaN, no infinity, and every string can be written."""

import json
import math
from typing import Any, NoReturn

from onward.serve.http.errors import ApiError, shortened

_EXAMPLE = 'send a JSON object, for example {"prompt": "what is "}'


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
