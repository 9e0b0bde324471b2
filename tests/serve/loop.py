"""Runs coroutines in tests that are not coroutines."""

import asyncio
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine in another thread, since playwright keeps an event loop in the thread of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def finish(work: Generator[None, None, Result]) -> Result:
    """Runs sliced work to its end, and returns its result."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value
