"""Threads beside the event loop: work is done in order, and ends when its request does."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import suppress

import pytest
from tests.serve.loop import run

from onward.serve.http.work_thread import SMALL, WorkThread, work_on_text


def test_only_large_texts_leave_the_event_loop() -> None:
    async def work() -> None:
        names = [await work_on_text(size, threading.current_thread) for size in (SMALL, SMALL + 1)]
        assert names[0] is threading.current_thread()
        assert names[1] is not threading.current_thread()

    run(work())


def test_an_error_is_raised_where_the_result_is_awaited() -> None:
    def broken() -> Generator[None, None, None]:
        yield
        raise ValueError("broken")

    async def work() -> None:
        with pytest.raises(ValueError, match="broken"):
            await WorkThread("test").run_slices(broken())

    run(work())


def test_work_that_is_cancelled_ends_after_its_slice() -> None:
    seen = list[str]()
    begun, goes_on = threading.Event(), threading.Event()

    def endless() -> Generator[None, None, None]:
        try:
            while True:
                begun.set()
                goes_on.wait(5)
                yield
        finally:
            seen.append("closed")

    def next_one() -> Generator[None, None, str]:
        yield
        return "next"

    async def work() -> None:
        thread = WorkThread("test")
        running = asyncio.create_task(thread.run_slices(endless()))
        await asyncio.to_thread(begun.wait, 5)
        waiting = asyncio.create_task(thread.run_slices(next_one()))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        goes_on.set()
        assert await waiting == "next"
        assert seen == ["closed"]

    run(work())
