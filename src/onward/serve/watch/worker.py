"""A detector that is served: its watch on a thread of its own, and those who follow its alarms."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from onward.serve.http.errors import ApiError
from onward.serve.http.json_text import dump
from onward.serve.http.limits import Limits
from onward.serve.watch.transactions import Alarm, WatchTransactions
from onward.watch.evaluation.summary import summary

RECENT = 500
"""Alarms that are at hand while the detector is at work."""

_LOG = logging.getLogger("onward.serve")
_T = TypeVar("_T")


class DetectorWorker:
    """A detector that is served.

    Args:
        path: of the detector.
        state: the file that keeps the watch; None: it ends with the server.
        idle, rate: see `WatchTransactions`.
        limits: of batches that wait, and of who listens.

    Attributes:
        name: that of the file.
        report: what the watch has seen, as plain values.

    Raises:
        OnwardError: see `WatchTransactions`.
    """

    def __init__(
        self, path: Path, state: Path | None, *, idle: float, rate: float | None, limits: Limits
    ) -> None:
        self.name, self._limits = path.stem, limits
        self._folder = None if state else TemporaryDirectory(prefix="onward-watch-")
        file = state or Path(self._folder.name, "watch.db")  # type: ignore[union-attr]
        self._requests = 0
        self._listeners = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onward-watch")
        self._watch = self._thread.submit(
            lambda: WatchTransactions(
                path, file, idle=idle, rate=rate, committed=self._committed, tell=_LOG.warning
            )
        ).result()
        self._recent = deque(self._thread.submit(self._watch.alarms, None, RECENT).result(), RECENT)
        self._told: bytes | None = None
        self.report: dict[str, Any] = self._thread.submit(lambda: self._watch.report).result()

    def start(self) -> None:
        """Begins to work for the running event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Ends after what waits; with a state the sequences in flight are kept."""
        try:
            self._thread.submit(self._watch.close).result()
        finally:
            self._thread.shutdown(wait=True)
            if self._folder:
                self._folder.cleanup()

    @property
    def facts(self) -> dict[str, Any]:
        """What can be told of the detector, and of what it has seen."""
        source = self._watch.detector.source
        return {
            "id": self.name,
            "object": "watch",
            "form": source["reader"]["form"] if source else "sequences",
            "detector": summary(self._watch.detector),
            **self.report,
        }

    @property
    def told(self) -> bytes:
        """The same as JSON, written once for all who follow."""
        if self._told is None:
            self._told = dump(self.facts)
        return self._told

    async def do(self, work: Callable[[WatchTransactions], _T]) -> _T:
        """The result of work on the watch.

        Raises:
            Refusal: too much of it waits.
        """
        if self._requests >= self._limits.batches:
            message = f"{self._requests} batches wait for this detector, no more can"
            raise ApiError(429, "busy", message, hint="try again later", headers={"Retry-After": "1"})
        self._requests += 1
        try:
            return await asyncio.wrap_future(self._thread.submit(work, self._watch))
        finally:
            self._requests -= 1

    async def tick(self) -> None:
        """Lets the time that has passed end what is idle, unless there is something to read."""
        if not self._requests:
            await self.do(WatchTransactions.wait)

    async def alarms(self, after: int | None, count: int) -> list[Alarm]:
        """The first alarms behind that of a number, in order; None: the last ones."""
        recent = list(self._recent)
        if after is None:
            return recent[-count:]
        if after >= self.report["last_alarm"]:
            return []
        if recent and recent[0]["alarm"] <= after + 1:
            return [alarm for alarm in recent if alarm["alarm"] > after][:count]
        return await self.do(lambda watch: watch.alarms(after, count))

    async def follow(self, after: int, seconds: float) -> AsyncIterator[list[Alarm]]:
        """The alarms behind that of a number as they come; none where only the report, or nothing, changed.

        Args:
            after: the number.
            seconds: without an alarm after which none are given.
        """
        while True:
            changed = self._changed
            found = await self.alarms(after, RECENT)
            after = found[-1]["alarm"] if found else after
            yield found
            if not found:
                try:
                    await asyncio.wait_for(changed.wait(), seconds)
                except TimeoutError:
                    continue

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While one follows, who counts from its beginning.

        Raises:
            Refusal: too many do.
        """
        if self._listeners >= self._limits.listeners:
            message = f"{self._listeners} follow these alarms, no more can"
            raise ApiError(429, "busy", message, hint="try again later", headers={"Retry-After": "5"})
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1

    def _committed(self, alarms: list[Alarm]) -> None:
        """On the thread of the watch: alarms are durable."""
        report = self._watch.report
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce, alarms, report)

    def _announce(self, alarms: list[Alarm], report: dict[str, Any]) -> None:
        self._recent.extend(alarms)
        self.report, self._told = report, None
        self._changed.set()
        self._changed = asyncio.Event()
