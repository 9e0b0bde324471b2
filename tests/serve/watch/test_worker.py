"""Clients that send batches to a detector and follow its alarms."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.serve import loop
from tests.serve.watched import BAD, GOOD

from onward.serve.http.clients import Client
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.watch import transactions
from onward.serve.watch.alarm_feed import RECENT, AlarmFeed
from onward.serve.watch.batches import Batch
from onward.serve.watch.settings import WatchSettings
from onward.serve.watch.transactions import Commit
from onward.serve.watch.worker import DetectorWorker
from onward.watch.stream.alarms import Alarm

OpenWorker: TypeAlias = Callable[..., DetectorWorker]


@pytest.fixture
def open_worker(audit: Path) -> Iterator[OpenWorker]:
    opened: list[DetectorWorker] = []

    def open_(limits: Limits, idle: float = 10.0) -> DetectorWorker:
        opened.append(DetectorWorker(audit, None, WatchSettings(idle=idle), limits=limits))
        return opened[-1]

    yield open_
    for worker in opened:
        worker.stop()


def batch(key: str, events: list[str]) -> Batch:
    items = [{"key": key, "events": events}]
    return Batch("sequences", items, end=False, verdicts=False, key=None, digest="")


async def next_keys(alarms: AsyncIterator[list[Alarm]]) -> list[str]:
    return [alarm.key for alarm in await anext(alarms)]


def test_a_client_that_follows_gets_alarms_as_they_are_committed(open_worker: OpenWorker) -> None:
    worker = open_worker(Limits())

    async def work() -> None:
        async with asyncio.timeout(30):
            await worker.feed(batch("first", BAD))
            following = worker.follow(0, seconds=20.0)
            assert await next_keys(following) == ["first"]
            assert await next_keys(following) == []
            waiting = asyncio.ensure_future(next_keys(following))
            await worker.feed(batch("fine", GOOD))
            assert await waiting == []  # the report has changed
            waiting = asyncio.ensure_future(next_keys(following))
            await worker.feed(batch("second", BAD))
            assert await waiting == ["second"]

    loop.run(work())
    assert worker.report["last_alarm"] == 2


def test_alarms_are_published_even_if_the_client_of_the_batch_has_left(open_worker: OpenWorker) -> None:
    worker = open_worker(Limits())

    async def work() -> None:
        async with asyncio.timeout(30):
            following = worker.follow(0, seconds=20.0)
            assert await next_keys(following) == []
            feeding = [asyncio.ensure_future(worker.feed(batch(f"b{i}", BAD))) for i in range(2)]
            await asyncio.sleep(0)
            feeding[0].cancel()
            with suppress(asyncio.CancelledError):
                await feeding[0]
            await feeding[1]
            published: list[str] = []
            while "b1" not in published:
                published += await next_keys(following)
            in_store = [alarm.key for alarm in await worker.alarms(0, 10)]
            assert published == in_store

    loop.run(work())


def test_batches_above_the_limit_are_refused(open_worker: OpenWorker) -> None:
    worker = open_worker(Limits(batches=2))

    async def work() -> None:
        answers = await asyncio.gather(
            *(worker.feed(batch(f"b{i}", GOOD)) for i in range(4)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, ApiError)]
        assert [(error.status, error.headers["Retry-After"]) for error in refused] == [(429, "1")] * 2
        assert len(answers) - len(refused) == 2
        await worker.feed(batch("later", GOOD))

    loop.run(work())


def test_streams_above_the_limit_are_refused(open_worker: OpenWorker) -> None:
    worker = open_worker(Limits(listeners=2))
    one, other = Client("192.0.2.1", False), Client("192.0.2.2", False)
    with worker.listener_slot(one):
        with pytest.raises(ApiError, match="1 streams of these alarms are open for one client"):
            worker.listener_slot(one).__enter__()
        with worker.listener_slot(other), pytest.raises(ApiError, match="2 streams of these") as caught:
            worker.listener_slot(one._replace(is_page=True)).__enter__()
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "5"})
        with worker.listener_slot(one._replace(is_page=True)):
            pass
    with worker.listener_slot(one):
        pass


def alarm_of(number: int) -> Alarm:
    return Alarm(number, f"s{number}", number, None, True, 0.001, "largest", "a line", number, None)


def commit_of(numbers: range) -> Commit:
    return Commit([alarm_of(number) for number in numbers], {"last_alarm": numbers[-1]})


def test_a_feed_returns_alarms_in_memory_and_none_if_older_ones_are_wanted() -> None:
    feed = AlarmFeed([], {"last_alarm": 0})
    assert feed.after(0, 10) == []
    feed.publish(commit_of(range(1, RECENT + 3)))  # the first two are no longer in memory
    assert feed.after(1, 10) is None
    assert feed.after(2, 2) == [alarm_of(3), alarm_of(4)]
    assert feed.last(1) == [alarm_of(RECENT + 2)]
    assert feed.after(RECENT + 2, 10) == []


def test_a_feed_wakes_up_clients_at_the_next_commit() -> None:
    async def work() -> None:
        feed = AlarmFeed([], {"last_alarm": 0})
        change = feed.next_change()
        assert not change.is_set()
        feed.publish(commit_of(range(1, 2)))
        assert change.is_set()
        assert not feed.next_change().is_set()

    loop.run(work())


def test_a_batch_is_read_while_many_idle_sequences_end(
    open_worker: OpenWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "ENDS_AT_ONCE", 1)
    worker = open_worker(Limits(), 0.2)
    opened = [{"key": str(number), "event": "start"} for number in range(30)]

    async def work() -> None:
        async with asyncio.timeout(30):
            await worker.feed(Batch("records", opened, end=False, verdicts=False, key=None, digest=""))
            await asyncio.sleep(0.4)
            ending = asyncio.create_task(worker.end_idle())
            await asyncio.sleep(0)
            answer = await worker.feed(batch("other", GOOD))
            assert 0 < answer["in_flight"] < 30
            await ending
            await worker.end_idle()
            assert worker.report["in_flight"] == 0

    loop.run(work())
