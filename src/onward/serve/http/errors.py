"""Errors of the HTTP API, in the form of OpenAI's errors."""

from collections.abc import Mapping
from reprlib import Repr
from typing import Any

from onward.errors import InputError, OnwardError

_LONGEST_SHOWN = 80
_REPR = Repr()  # a request may hold a million numbers, or lists within lists
_REPR.maxlist = _REPR.maxdict = 20
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = _LONGEST_SHOWN

FIELDS_HINT = "GET /openapi.json lists every field with its limits"


class ApiError(InputError):
    """An error response.

    Args:
        status: HTTP status, 400 or above.
        code: kind of the error, for programs.
        message: the expected and the received value.
        hint: what the caller can do about it.
        param: name of the wrong field.
        headers: further headers of the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.code, self.param = status, code, param
        self.headers = dict(headers or {})


def invalid_value(name: str, expected: str, received: object) -> ApiError:
    """Returns the error for a field with a wrong value; None stands for a missing field."""
    shown = "nothing" if received is None else shortened(received)
    message = f"expected {name} to be {expected}, got {shown}"
    return ApiError(400, "invalid_value", message, param=name[:_LONGEST_SHOWN], hint=FIELDS_HINT)


def as_api_error(error: OnwardError) -> ApiError:
    """Converts an error of onward: wrong input has status 400, everything else 500."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InputError):
        return ApiError(400, "invalid_value", str(error), hint=error.hint)
    return ApiError(500, "failed", str(error), hint=error.hint)


def to_json(error: ApiError) -> dict[str, Any]:
    """Returns the body of the response."""
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": str(error),
            "type": kind,
            "param": error.param,
            "code": error.code,
            "hint": error.hint,
        }
    }


def shortened(value: object) -> str:
    """Returns the first characters of a value, for a message."""
    text = value[: _LONGEST_SHOWN + 1] if isinstance(value, str) else _REPR.repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
