"""Those who follow the alarms of a detector: no more than may."""

import asyncio
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message
from tests.serve import loop

from onward.serve.api.watch import watch_routes
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.responses import refuse
from onward.serve.watch.registry import DetectorRegistry

LISTEN = {
    "type": "http",
    "method": "GET",
    "path": "/v1/watch/alarms",
    "query_string": b"stream=true",
    "headers": [],
}


async def refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return refuse(error)


def test_of_many_who_come_at_once_no_more_may_listen_than_the_limit(audit: Path) -> None:
    limits = Limits(listeners=2)
    detectors = DetectorRegistry([audit], state=None, alone=True, idle=10.0, rate=None, limits=limits)
    app = Starlette(routes=watch_routes(detectors, limits), exception_handlers={ApiError: refused})

    async def together(number: int) -> list[int]:
        """The answers to so many who come at once and leave when all are answered."""
        answered: list[int] = []
        leaving = asyncio.Event()

        async def receive() -> Message:
            await leaving.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])
                if len(answered) == number:
                    leaving.set()

        async with asyncio.timeout(30):
            await asyncio.gather(*(app(dict(LISTEN), receive, send) for _ in range(number)))
        return sorted(answered)

    async def work() -> None:
        assert await together(5) == [200, 200, 429, 429, 429]
        assert await together(2) == [200, 200]  # those before them have left

    loop.run(work())
    for served in detectors:
        served.stop()
