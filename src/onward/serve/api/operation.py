"""An operation of the API: the route of a handler, and its description in the OpenAPI document."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from starlette.routing import Route

from onward.serve.http.validation import RequestModel

Method = Literal["GET", "POST", "DELETE"]

LOOKUP_ERRORS = (404,)
"""Statuses of errors of every operation that names something, in its path, body or query."""

BODY_ERRORS = (400, 408, 413, 429, 503)
"""Statuses of errors of every operation with a body."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation. `operation` makes one of a handler.

    Attributes:
        method, path: the route.
        id: the operationId, which generated clients use as a name.
        summary: one sentence.
        handler: a function of a request, or an ASGI application.
        body: model of the JSON body.
        query: model of the query.
        path_parameters: description of each parameter in the path.
        response: type of the JSON response; None: the response has no JSON body.
        media_types: media types of a response that is not JSON.
        status: status of a successful response.
        errors: statuses of errors that only some operations have (see `LOOKUP_ERRORS`, `BODY_ERRORS`).
        streams: whether the response may be a stream of server-sent events.
    """

    method: Method
    path: str
    id: str
    summary: str
    handler: Callable[..., Any]
    body: type[RequestModel] | None = None
    query: type[RequestModel] | None = None
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    response: Any = None
    media_types: Sequence[str] = ()
    status: int = 200
    errors: Sequence[int] = ()
    streams: bool = False

    @property
    def route(self) -> Route:
        """The route of the handler."""
        return Route(self.path, self.handler, methods=[self.method])

    def bind(self, **arguments: Any) -> "Operation":
        """Returns the operation with the arguments that its handler takes besides the request."""
        return replace(self, handler=partial(self.handler, **arguments))


def operation(method: Method, path: str, **described: Any) -> Callable[[Callable[..., Any]], Operation]:
    """Returns a decorator that makes an operation of a handler.

    Args:
        method, path: the route.
        described: other attributes of the operation. The summary is the first line of the handler's
            docstring.
    """

    def decorate(handler: Callable[..., Any]) -> Operation:
        summary = (inspect.getdoc(handler) or "").partition("\n")[0]
        return Operation(method=method, path=path, summary=summary, handler=handler, **described)

    return decorate
