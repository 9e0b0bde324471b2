"""The fields of a JSON body, each checked as it is taken."""

import json
import math
from collections.abc import Collection
from typing import Any, NoReturn

from onward.serve.http.errors import ApiError

_SHOWN = 80
_OBJECT = 'send one object, for instance {"prompt": "what is "}'
FIELDS_HINT = "GET /openapi.json has every field with its limits"


class Fields:
    """An object of JSON. A field that is missing, or null, has its default.

    Args:
        body: the bytes, or "" for an empty object.
        known: the names that it may have; None: any.

    Raises:
        Refusal: it is no JSON object, or has a field that is not known.
    """

    def __init__(self, body: bytes | str, known: Collection[str] | None = None) -> None:
        values = parse(body) if body else {}
        if not isinstance(values, dict):
            message = f"expected a JSON object, got {_kind(values)}"
            raise ApiError(400, "invalid_json", message, hint=_OBJECT)
        self.values: dict[str, Any] = values
        unknown = [] if known is None else [name for name in values if name not in known]
        if unknown:
            expected = ", ".join(sorted(known or ()))
            raise _invalid(unknown[0], f"expected the fields {expected}, got {_short(unknown[0])}")

    def text(self, name: str, default: str | None = None, *, longest: int) -> str | None:
        """A text of at most so many characters."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(name, "a text")
        if len(value) > longest:
            message = f"expected {name} of at most {longest} characters, got {len(value)}"
            raise ApiError(413, "too_large", message, param=name, hint="send less of it at once")
        return value

    def integer(self, name: str, default: int | None, smallest: int, largest: int) -> Any:
        """A whole number within bounds, of the type of the default."""
        value = whole(self.values.get(name))
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
            self.refuse(name, f"a whole number from {smallest} to {largest}")
        return value

    def number(self, name: str, default: float, smallest: float, largest: float) -> float:
        """A number within bounds."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not smallest <= value <= largest:
            self.refuse(name, f"a number from {smallest} to {largest}")
        return float(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "true or false")
        return value

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Refuses the value of a field."""
        raise _invalid(name, f"expected {name} to be {expected}, got {_short(self.values.get(name))}")


def whole(value: Any) -> Any:
    """A number that is whole as an `int`, since 3.0 and 3 are one number in JSON; all else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def parse(body: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        Refusal: it is not JSON.
    """
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        message = f"expected JSON in UTF-8, which the body is not: {_short(reason)}"
        raise ApiError(400, "invalid_json", message, hint=_OBJECT) from None


def dump(value: Any) -> bytes:
    """JSON of plain values; a half pair of surrogates is escaped, since UTF-8 does not have it."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:_SHOWN]} is too large")
    return value


def _invalid(name: str, message: str) -> ApiError:
    return ApiError(400, "invalid_value", message, param=name[:_SHOWN], hint=FIELDS_HINT)


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def _short(value: object) -> str:
    """The beginning of what was received, on one line."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
