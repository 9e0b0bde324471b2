"""Threads beside the event loop, which read large requests, write large responses and search the corpus.

There is one for each kind of work. More would not be faster, because Python runs one at a time, and each
would delay the event loop and the models.
"""

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

SMALL = 4096
"""Size of a text, in bytes or numbers, up to which the event loop works on it itself, in about 0.1 ms."""


class WorkThread:
    """A thread that does one piece of work after another. It starts with the first piece.

    Args:
        name: name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """Returns the result of work that takes some milliseconds."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def run_slices(self, work: Generator[None, None, T]) -> T:
        """Returns the result of work that yields after each slice. If cancelled, it ends after a slice."""
        cancelled = threading.Event()
        try:
            return await self.run(lambda: _finished(work, cancelled))
        finally:
            cancelled.set()


TEXT_THREAD = WorkThread("onward-text")
"""Reads large requests and writes large responses."""


async def work_on_text(size: int, work: Callable[[], T]) -> T:
    """Returns the result of work on a text, which is done on the thread if the text is large.

    Args:
        size: bytes of the text, or numbers in it.
        work: takes some milliseconds.
    """
    return work() if size <= SMALL else await TEXT_THREAD.run(work)


def _finished(work: Generator[None, None, T], cancelled: threading.Event) -> T:
    """Does work to its end, unless it is cancelled before."""
    while not cancelled.is_set():
        try:
            next(work)
        except StopIteration as stop:
            return stop.value
    work.close()
    raise asyncio.CancelledError
