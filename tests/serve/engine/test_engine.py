"""The thread of a model: work is shared out, errors go to who waits, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest
from tests.serve import loop

import onward
from onward.errors import RunError
from onward.serve.engine.batcher import SampleRequest
from onward.serve.engine.engine import Engine
from onward.serve.engine.prefill import read
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics


@pytest.fixture
def run(model) -> Iterator[Callable[..., None]]:
    trained = onward.load(model)

    def go(work: Callable[[Engine], Awaitable[None]], **limits: int) -> None:
        async def within() -> None:
            engine = Engine(trained, Limits(**limits), Metrics())
            engine.start()
            try:
                async with asyncio.timeout(30):
                    await work(engine)
            finally:
                engine.stop()

        loop.run(within())

    yield go


def counting(told: list[str], name: str, slices: int):
    for _ in range(slices):
        told.append(name)
        yield
    return name


def test_long_work_takes_turns(run) -> None:
    async def work(engine: Engine) -> None:
        told: list[str] = []
        both = [engine.run(counting(told, name, 20)) for name in "ab"]
        assert await asyncio.gather(*both) == ["a", "b"]
        assert "abab" in "".join(told)

    run(work)


def test_an_error_goes_to_the_one_who_waits(run) -> None:
    async def work(engine: Engine) -> None:
        def broken():
            yield
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await engine.run(broken())
        assert await engine.run(counting([], "next", 2)) == "next"
        assert engine.requests == 0

    run(work)


def test_there_are_places_for_so_many(run) -> None:
    async def work(engine: Engine) -> None:
        waiting = [asyncio.create_task(engine.run(counting([], "x", 200))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as caught:
            await engine.run(counting([], "x", 1))
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
        assert await asyncio.gather(*waiting) == ["x", "x"]

    run(work, waiting=2)


def test_more_samples_than_lanes_wait_and_are_the_same(run) -> None:
    async def texts(engine: Engine) -> list[str]:
        found = [""] * 7
        primed, _ = await engine.run(read(engine.trained, np.array([5, 6])))
        orders = [SampleRequest(length=30, seed=3, number=i) for i in range(7)]
        async for i, piece in engine.write(primed, orders):
            found[i] += piece.text
        return found

    seen: list[list[str]] = []

    async def work(engine: Engine) -> None:
        seen.append(await texts(engine))

    run(work, lanes=64)
    run(work, lanes=2)
    assert seen[0] == seen[1]
    assert all(seen[0])


def test_who_left_makes_room(run) -> None:
    async def work(engine: Engine) -> None:
        primed, _ = await engine.run(read(engine.trained, np.array([5])))

        async def first_piece(length: int) -> None:
            pieces = engine.write(primed, [SampleRequest(length=length)])
            await anext(pieces)
            await pieces.aclose()

        await first_piece(10**6)
        await first_piece(5)  # there is one lane: it waits until the other is free
        assert engine.requests == 0

    run(work, lanes=1)


def test_who_waits_is_told_when_it_stops(model) -> None:
    async def within() -> None:
        engine = Engine(onward.load(model), Limits(), Metrics())
        engine.start()
        waiting = asyncio.create_task(engine.run(counting([], "x", 10**9)))
        await asyncio.sleep(0.05)
        engine.stop()
        with pytest.raises(ApiError, match="stopping"):
            await waiting
        with pytest.raises(ApiError, match="stopping"):
            await engine.run(counting([], "x", 1))

    loop.run(within())


async def written(engine: Engine, count: int = 1) -> list[str]:
    primed, _ = await engine.run(read(engine.trained, np.array([5])))
    return [piece.text async for _, piece in engine.write(primed, [SampleRequest(length=10**6)] * count)]


def test_who_waits_for_a_lane_is_told_when_it_stops(model) -> None:
    async def within() -> None:
        engine = Engine(onward.load(model), Limits(lanes=1), Metrics())
        engine.start()
        waiting = [asyncio.create_task(written(engine, count)) for count in (1, 1, 3)]
        await asyncio.sleep(0.3)
        engine.stop()
        async with asyncio.timeout(5):
            for each in waiting:
                with pytest.raises(ApiError, match="stopping"):
                    await each

    loop.run(within())


def test_who_cannot_be_let_in_is_told(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(*_: object) -> None:
        raise RunError("the model gave no numbers")

    async def work(engine: Engine) -> None:
        monkeypatch.setattr(engine._lanes, "add", add)
        async with asyncio.timeout(5):
            with pytest.raises(RunError, match="no numbers"):
                await written(engine)
        assert engine.requests == 0

    run(work)
