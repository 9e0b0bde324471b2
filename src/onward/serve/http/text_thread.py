"""A thread that reads large requests and writes large responses, so that the event loop stays free.

There is one for all requests. More threads would not be faster, because Python runs one at a time, and each
would delay the event loop and the models.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

SMALL = 4096
"""Size, in bytes or numbers, up to which the event loop works on a text itself: it takes about 0.1 ms."""

_THREAD = ThreadPoolExecutor(1, thread_name_prefix="onward-text")


async def on_text_thread(work: Callable[[], T]) -> T:
    """Returns the result of work on the thread. It should be short, since other requests wait for it."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)


async def work_on_text(size: int, work: Callable[[], T]) -> T:
    """Returns the result of work on a text, which is done on the thread if the text is large.

    Args:
        size: bytes of the text, or numbers in it.
        work: see `on_text_thread`.
    """
    return work() if size <= SMALL else await on_text_thread(work)
