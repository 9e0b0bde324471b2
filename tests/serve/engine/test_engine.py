"""The model's thread: work takes turns, errors reach their requests, and no request waits forever."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from tests.serve import loop

import onward
from onward.errors import RunError
from onward.serve.engine.batcher import Batcher, SampleRequest
from onward.serve.engine.engine import Engine, SlicedWork
from onward.serve.engine.prefill import prefill
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics

Work: TypeAlias = Callable[[Engine], Awaitable[None]]
RunWork: TypeAlias = Callable[[Work, Limits], None]


@pytest.fixture
def run(model: Path) -> RunWork:
    """Runs a coroutine with an engine."""
    trained = onward.load(model)

    def go(work: Work, limits: Limits) -> None:
        async def within() -> None:
            engine = Engine(trained, limits, Metrics())
            engine.start()
            try:
                async with asyncio.timeout(30):
                    await work(engine)
            finally:
                engine.stop()

        loop.run(within())

    return go


def logged_slices(log: list[str], name: str, slices: int) -> SlicedWork[str]:
    for _ in range(slices):
        log.append(name)
        yield
    return name


def test_long_jobs_take_turns(run: RunWork) -> None:
    async def work(engine: Engine) -> None:
        log: list[str] = []
        both = [engine.run(logged_slices(log, name, 20)) for name in "ab"]
        assert await asyncio.gather(*both) == ["a", "b"]
        assert "abab" in "".join(log)

    run(work, Limits())


def test_an_error_is_raised_where_the_result_is_awaited(run: RunWork) -> None:
    async def work(engine: Engine) -> None:
        def broken() -> SlicedWork[None]:
            yield
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await engine.run(broken())
        assert await engine.run(logged_slices([], "next", 2)) == "next"
        assert engine.requests == 0

    run(work, Limits())


def test_requests_above_the_limit_are_refused(run: RunWork) -> None:
    async def work(engine: Engine) -> None:
        waiting = [asyncio.create_task(engine.run(logged_slices([], "x", 200))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as caught:
            await engine.run(logged_slices([], "x", 1))
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
        assert await asyncio.gather(*waiting) == ["x", "x"]

    run(work, Limits(waiting=2))


def test_samples_that_wait_for_a_lane_have_the_same_text(run: RunWork) -> None:
    seen: list[list[str]] = []

    async def work(engine: Engine) -> None:
        found = [""] * 7
        prompt, _ = await engine.run(prefill(engine.trained, np.array([5, 6])))
        requests = [SampleRequest(length=30, seed=3, number=i) for i in range(7)]
        async for i, chunk in engine.write(prompt, requests):
            found[i] += chunk.text
        seen.append(found)

    run(work, Limits(lanes=64))
    run(work, Limits(lanes=2))
    assert seen[0] == seen[1]
    assert all(seen[0])


def test_a_request_that_is_closed_frees_its_lane(run: RunWork) -> None:
    async def work(engine: Engine) -> None:
        prompt, _ = await engine.run(prefill(engine.trained, np.array([5])))

        async def first_chunk(length: int) -> None:
            chunks = engine.write(prompt, [SampleRequest(length=length)])
            await anext(chunks)
            await chunks.aclose()

        await first_chunk(10**6)
        await first_chunk(5)  # waits for the only lane
        assert engine.requests == 0

    run(work, Limits(lanes=1))


def test_waiting_jobs_fail_when_the_engine_stops(model: Path) -> None:
    async def within() -> None:
        engine = Engine(onward.load(model), Limits(), Metrics())
        engine.start()
        waiting = asyncio.create_task(engine.run(logged_slices([], "x", 10**9)))
        await asyncio.sleep(0.05)
        engine.stop()
        with pytest.raises(ApiError, match="stopping"):
            await waiting
        with pytest.raises(ApiError, match="stopping"):
            await engine.run(logged_slices([], "x", 1))

    loop.run(within())


async def texts(engine: Engine, count: int = 1) -> list[str]:
    prompt, _ = await engine.run(prefill(engine.trained, np.array([5])))
    requests = [SampleRequest(length=10**6)] * count
    return [chunk.text async for _, chunk in engine.write(prompt, requests)]


def test_running_and_waiting_samples_fail_when_the_engine_stops(model: Path) -> None:
    async def within() -> None:
        engine = Engine(onward.load(model), Limits(lanes=1), Metrics())
        engine.start()
        waiting = [asyncio.create_task(texts(engine, count)) for count in (1, 1, 3)]
        await asyncio.sleep(0.3)
        engine.stop()
        async with asyncio.timeout(5):
            for each in waiting:
                with pytest.raises(ApiError, match="stopping"):
                    await each

    loop.run(within())


def test_a_sample_that_cannot_be_added_fails(run: RunWork, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(*_: object) -> None:
        raise RunError("the model gave no numbers")

    async def work(engine: Engine) -> None:
        async with asyncio.timeout(5):
            with pytest.raises(RunError, match="no numbers"):
                await texts(engine)
        assert engine.requests == 0

    monkeypatch.setattr(Batcher, "add", add)
    run(work, Limits())
