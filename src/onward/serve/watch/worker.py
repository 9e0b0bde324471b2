"""A served detector: it works on its own thread, and clients follow its alarms."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from onward.serve.http.clients import Client
from onward.serve.http.json_text import dump
from onward.serve.http.limits import Limits
from onward.serve.http.slots import Slots
from onward.serve.watch.alarm_feed import RECENT, AlarmFeed
from onward.serve.watch.batches import Batch
from onward.serve.watch.settings import WatchSettings
from onward.serve.watch.transactions import Commit, WatchTransactions
from onward.watch.datasets import format_of
from onward.watch.evaluation.summary import summary
from onward.watch.notify.targets import NO_TARGETS, Targets
from onward.watch.stream.alarms import Alarm

_LOG = logging.getLogger("onward.serve")
_T = TypeVar("_T")


class DetectorWorker:
    """A detector that is served.

    Args:
        path: path of the detector.
        state: the file of its state; None: the state ends with the server.
        settings: how it watches.
        limits: the numbers of open sequences, of batches that wait, and of clients that follow the alarms.
        targets: where the notices go.

    Attributes:
        name: name of the file, without the extension.

    Raises:
        OnwardError: see `WatchTransactions`.
    """

    def __init__(
        self,
        path: Path,
        state: Path | None,
        settings: WatchSettings,
        *,
        limits: Limits,
        targets: Targets = NO_TARGETS,
    ) -> None:
        self.name = path.stem
        self._batch_slots = Slots(limits.batches, "batches wait for this detector")
        self._listener_slots = Slots(
            limits.listeners, "streams of these alarms are open", shared=True, retry_seconds=5
        )
        with ExitStack() as stack:
            if state is None:
                folder = stack.enter_context(TemporaryDirectory(prefix="onward-watch-"))
                state = Path(folder, "watch.db")
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="onward-watch")
            stack.callback(self._thread.shutdown, wait=True)
            self._transactions = self._thread.submit(
                partial(
                    WatchTransactions,
                    path,
                    state,
                    settings,
                    open_sequences=limits.open_sequences,
                    warn=_LOG.warning,
                    notifiers=targets.notifiers(self.name),
                )
            ).result()
            recent = self._thread.submit(self._transactions.alarms, None, RECENT).result()
            report = self._thread.submit(lambda: self._transactions.report).result()
            self._resources = stack.pop_all()
        self._feed = AlarmFeed(recent, report)
        self._facts_json: bytes | None = None  # None: the report has changed

    def stop(self) -> None:
        """Finishes the batches that wait, and saves the open sequences if there is a state."""
        with self._resources:
            self._thread.submit(self._transactions.close).result()

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The counts of the targets of the notices, see `Notifications.to_json`."""
        return self._transactions.targets

    @property
    def report(self) -> dict[str, Any]:
        """The report of the detector."""
        return self._feed.report

    @property
    def facts(self) -> dict[str, Any]:
        """Everything about the detector, and its report."""
        return {
            "id": self.name,
            "object": "watch",
            "form": format_of(self._transactions.detector).form,
            "detector": summary(self._transactions.detector),
            **self.report,
        }

    @property
    def facts_json(self) -> bytes:
        """The facts as JSON, encoded once for all clients."""
        if self._facts_json is None:
            self._facts_json = dump(self.facts)
        return self._facts_json

    async def feed(self, batch: Batch) -> dict[str, Any]:
        """Reads a batch, see `WatchTransactions.feed`."""
        return await self._transact(lambda transactions: transactions.feed(batch))

    async def mark_normal(self, number: int) -> dict[str, Any]:
        """Marks the sequence of an alarm as normal, see `WatchTransactions.mark_normal`."""
        return await self._transact(lambda transactions: transactions.mark_normal(number))

    async def explain(self, number: int) -> dict[str, Any]:
        """Explains an alarm, see `WatchTransactions.explain`."""
        return await self._transact(lambda transactions: (transactions.explain(number), None))

    async def end_idle(self) -> None:
        """Ends the sequences that have been idle too long, some at a time.

        It stops if there are batches to read, each of which ends some of them too.
        """
        while not self._batch_slots.used:
            if not await self._transact(WatchTransactions.end_idle):
                return

    async def alarms(self, after: int | None, count: int) -> list[Alarm]:
        """Returns the first alarms after a number, in order; for None, the last alarms."""
        if after is None:
            return self._feed.last(count)
        found = self._feed.after(after, count)
        if found is not None:
            return found
        return await self._transact(lambda transactions: (transactions.alarms(after, count), None))

    async def incidents(self, after: int | None, count: int) -> dict[str, Any]:
        """Returns incidents, see `WatchTransactions.incidents`."""
        return await self._transact(lambda transactions: (transactions.incidents(after, count), None))

    async def activity(self) -> dict[str, Any]:
        """Returns the timeline and the events, see `Activity.to_json`."""
        return await self._transact(lambda transactions: (transactions.activity, None))

    async def follow(self, after: int, seconds: float) -> AsyncIterator[list[Alarm]]:
        """Yields alarms as they are committed.

        Args:
            after: the number of the last alarm that the client knows.
            seconds: yield an empty list after this time without a commit. A commit without an alarm yields an
                empty list too.
        """
        while True:
            change = self._feed.next_change()
            found = await self.alarms(after, RECENT)
            after = found[-1].number if found else after
            yield found
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(change.wait(), seconds)

    def listener_slot(self, client: Client) -> AbstractContextManager[None]:
        """Counts a stream of the alarms.

        Raises:
            ApiError: 429, there are too many, or too many of this client.
        """
        return self._listener_slots.take(client)

    async def _transact(self, work: Callable[[WatchTransactions], tuple[_T, Commit | None]]) -> _T:
        """Does work on the thread, publishes what it committed, and returns its result.

        Raises:
            ApiError: 429, too many batches wait.
        """
        with self._batch_slots.take():
            loop = asyncio.get_running_loop()
            return await asyncio.wrap_future(self._thread.submit(self._run, work, loop))

    def _run(
        self,
        work: Callable[[WatchTransactions], tuple[_T, Commit | None]],
        loop: asyncio.AbstractEventLoop,
    ) -> _T:
        """Does work on the detector's thread. The commit is published even if the client has left."""
        result, commit = work(self._transactions)
        if commit:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._publish, commit)
        return result

    def _publish(self, commit: Commit) -> None:
        self._facts_json = None
        self._feed.publish(commit)
