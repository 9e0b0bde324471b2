"""Why a request is refused, in the form of OpenAI's errors."""

from collections.abc import Mapping
from typing import Any

from onward.errors import InputError, OnwardError


class ApiError(InputError):
    """A request that is answered with an error of the caller's.

    Args:
        status: of HTTP, 4xx; or 503 while the server stops.
        code: of the kind of error, for programs.
        message: what was expected and received.
        hint: the remedy.
        param: the field that is wrong.
        headers: of the answer.
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


def as_api_error(error: OnwardError) -> ApiError:
    """The same error for a client: what the caller can mend is 400, a run that failed 500."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InputError):
        return ApiError(400, "invalid_value", str(error), hint=error.hint)
    return ApiError(500, "failed", str(error), hint=error.hint)


def to_json(refusal: ApiError) -> dict[str, Any]:
    """The body of the answer."""
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": str(refusal),
            "type": kind,
            "param": refusal.param,
            "code": refusal.code,
            "hint": refusal.hint,
        }
    }
