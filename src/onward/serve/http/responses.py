"""Requests in, answers out: bodies within bounds, JSON, and clients that leave or do not listen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from onward.serve.http.errors import ApiError, to_json
from onward.serve.http.fields import dump
from onward.serve.http.limits import Limits

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class ClientLeft(Exception):  # noqa: N818 - it is no error
    """There is nobody to answer."""


async def body_of(receive: Receive, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        Refusal: it is too large, or does not come.
        ClientLeft: the client went before it was whole.
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
                    raise ApiError(
                        413,
                        "too_large",
                        f"expected a body of at most {limits.body_bytes} bytes, got more",
                        hint="send it in parts, as several requests",
                        headers={"Connection": "close"},
                    )
    except TimeoutError:
        message = f"expected the body within {limits.request_seconds:g} seconds, got a part of it"
        hint = "send it in parts, as several requests"
        raise ApiError(408, "too_slow", message, hint=hint, headers={"Connection": "close"}) from None
    return b"".join(parts)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of work that is given up when the client leaves. The body has been read.

    Raises:
        ClientLeft: it did.
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
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


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Plain values as JSON."""
    return Response(dump(value), status, headers, "application/json")


def refuse(refusal: ApiError) -> Response:
    """The answer to a request that is refused."""
    return answer(to_json(refusal), refusal.status, refusal.headers)


class Events(Response):
    """Server-sent events of JSON values, as they come; they end when the client leaves or does not take them.

    Args:
        values: what is sent; bytes are events already.
        limits: how long a client may take.
        during: is entered before anything is sent, so that it may refuse, and left at the end.
    """

    def __init__(
        self,
        values: AsyncIterator[Any],
        limits: Limits,
        during: AbstractContextManager[None] | None = None,
    ) -> None:
        super().__init__(None, 200, {"Cache-Control": "no-store"}, "text/event-stream")
        del self.headers["content-length"]
        self._values, self._limits, self._during = values, limits, during or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        request = Request(scope, receive)
        with suppress(ClientLeft), self._during:
            await unless_gone(request, self._send(send))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for value in self._values:
                event = value if isinstance(value, bytes) else b"data: " + dump(value) + b"\n\n"
                await self._part(send, event)
            await self._part(send, b"data: [DONE]\n\n")
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._values.aclose()  # type: ignore[attr-defined]

    async def _part(self, send: Send, body: bytes) -> None:
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            raise ClientLeft from None
