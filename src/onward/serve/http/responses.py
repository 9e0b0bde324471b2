"""Reads bodies of requests, sends JSON and server-sent events, and detects clients that leave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, TypeVar

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from onward.serve.http.errors import ApiError, to_json
from onward.serve.http.json_text import dump, in_pieces
from onward.serve.http.limits import Limits
from onward.serve.http.work_thread import SMALL, TEXT_THREAD

T = TypeVar("T")

HANG_UP = "onward.hang_up"
"""Key of a function in the scope of a request, which closes its connection at once."""

_CLOSE = {"Connection": "close"}
_IN_PARTS = "send it in parts, as several requests"


class ClientLeft(Exception):  # noqa: N818 - it is not an error
    """The client closed the connection before the response."""


async def read_body(receive: Receive, limits: Limits) -> bytes:
    """Reads the body of a request.

    Starlette's own limit is not used: it answers in plain text, and it has no time limit.

    Raises:
        ApiError: the body is too large, or takes too long to arrive.
        ClientLeft: the client left before the body was complete.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.request_seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                more = message.get("more_body", False)
                if size > limits.body_bytes:
                    text = f"expected a body of at most {limits.body_bytes:,} bytes, got more"
                    raise ApiError(413, "too_large", text, hint=_IN_PARTS, headers=_CLOSE)
    except TimeoutError:
        text = f"expected the body within {limits.request_seconds:g} seconds, got only a part of it"
        raise ApiError(408, "too_slow", text, hint=_IN_PARTS, headers=_CLOSE) from None
    return b"".join(parts)


async def until_client_leaves(receive: Receive, work: Awaitable[T]) -> T:
    """Returns the result of some work, and cancels the work if the client leaves.

    Args:
        receive: receives the messages of a request whose body has been read.
        work: the work.

    Raises:
        ClientLeft: the client left.
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return task.result()
    finally:
        for each in (task, leaving):
            if not each.done():
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Returns a response of JSON."""
    return Response(dump(value), status, headers, "application/json")


class LargeJson:
    """A large response of JSON. It is written piece by piece on the text thread, as fast as the client reads.

    Args:
        parts: the parts of the JSON text.
        limits: how long a client may take to accept a piece.
        during: a context that is left when the response has ended.
    """

    def __init__(
        self, parts: Iterator[bytes], limits: Limits, *, during: AbstractContextManager[Any] | None = None
    ) -> None:
        self._pieces, self._limits = in_pieces(parts), limits
        self._during = during or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._during, suppress(ClientLeft):
            try:
                await until_client_leaves(receive, self._send(send))
            except TimeoutError:
                await hang_up(scope, receive)

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while (piece := await TEXT_THREAD.run(lambda: next(self._pieces, None))) is not None:
            async with asyncio.timeout(self._limits.send_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})


def json_of_parts(
    parts: Iterator[bytes], size: int, limits: Limits, *, during: AbstractContextManager[Any] | None = None
) -> Response | LargeJson:
    """Returns a response of JSON.

    Args:
        parts: the parts of the JSON text.
        size: about how many numbers or texts it has.
        limits, during: see `LargeJson`.
    """
    if size > SMALL:
        return LargeJson(parts, limits, during=during)
    with during or nullcontext():
        return Response(b"".join(parts), media_type="application/json")


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Closes the connection of a request whose response cannot be completed. Its body must have been read."""
    if close := scope.get(HANG_UP):
        close()
        await _disconnect(receive)


def error_response(error: ApiError) -> Response:
    """Returns the response for an error."""
    return json_response(to_json(error), error.status, error.headers)


class EventStream:
    """A response of server-sent events. It ends when the client leaves, or is too slow to accept events.

    Args:
        events: encoded events (see `event`), as they come.
        limits: how long a client may take to accept an event.
        finishes: whether the stream has a last event. A stream without one ends when the server stops.
        during: a context that is open while the response is sent; it may refuse the request on entry.
    """

    def __init__(
        self,
        events: AsyncIterator[bytes],
        limits: Limits,
        *,
        finishes: bool,
        during: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._during = during or nullcontext()
        stopping: Any = asyncio.Event()  # which has the methods of anyio's
        self._response = EventSourceResponse(
            events if finishes else _until(stopping, events),
            ping=0,
            send_timeout=limits.send_seconds,
            shutdown_event=stopping,
            shutdown_grace_period=limits.stop_seconds,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._during:
            try:
                await self._response(scope, receive, send)
            except SendTimeoutError:
                await hang_up(scope, receive)


async def _until(stopping: asyncio.Event, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields events until the server stops."""
    stop, iterator = asyncio.ensure_future(stopping.wait()), aiter(events)
    tasks: set[asyncio.Future[Any]] = {stop}
    try:
        while not stop.done():
            following = asyncio.ensure_future(anext(iterator))
            tasks = {stop, following}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                yield following.result()
    except StopAsyncIteration:
        return
    finally:
        for task in tasks:
            task.cancel()


def event(value: Any) -> bytes:
    """Returns a value as a server-sent event of JSON."""
    return event_of_parts(iter([dump(value)]))


def event_of_parts(parts: Iterator[bytes]) -> bytes:
    """Returns the parts of a JSON text as a server-sent event."""
    return b"data: %b\n\n" % b"".join(parts)


DONE = b"data: [DONE]\n\n"
"""The last event of a stream of completions."""
