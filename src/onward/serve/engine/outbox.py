"""Results on their way from the model's thread to the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

_Callback: TypeAlias = tuple[Callable[[Any], None], Any]


class Outbox:
    """Collects results on the model's thread, and hands them to the event loops that wait for them.

    Handing over wakes up an event loop, so all results of a turn are handed over at once.
    """

    def __init__(self) -> None:
        self._callbacks: dict[asyncio.AbstractEventLoop, list[_Callback]] = {}

    def post(self, loop: asyncio.AbstractEventLoop, callback: Callable[[Any], None], value: Any) -> None:
        """Has the event loop call the function with a value after the next `flush`."""
        self._callbacks.setdefault(loop, []).append((callback, value))

    def resolve(self, future: asyncio.Future[Any], result: Any) -> None:
        """Sets the result of a future, or its error if the result is an exception."""
        self.post(future.get_loop(), _setter(future), result)

    def flush(self) -> None:
        """Hands everything over."""
        if not self._callbacks:
            return
        posted, self._callbacks = self._callbacks, {}
        for loop, callbacks in posted.items():
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_run, callbacks)


def _run(callbacks: list[_Callback]) -> None:
    for callback, value in callbacks:
        callback(value)


def _setter(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def set_result(result: Any) -> None:
        if future.done():  # the request was cancelled
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    return set_result
