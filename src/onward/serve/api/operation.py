"""An operation of the API: the route of a handler, and its description in the OpenAPI document."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.routing import Route

from onward.serve.http.validation import RequestModel

BODY_ERRORS = (400, 408, 413, 429, 503)
"""Statuses of errors that every operation with a body may have."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation.

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
        errors: statuses of errors, whose body is that of an error.
        streams: whether the response may be a stream of server-sent events.
    """

    method: Literal["GET", "POST", "DELETE"]
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
