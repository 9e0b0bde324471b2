"""The targets of a watch, such as webhooks: each gets every committed notice at least once.

The store keeps all notices, and for each target the number of the last notice that it has taken. After a
kill, the next run continues there. Only a kill between a delivery and the next commit repeats notices, under
the same names. A target that is new to a store gets the notices from now on.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from onward.stored import Count, checked
from onward.watch.stream.dispatcher import FIRST_DELAY, Dispatcher
from onward.watch.stream.notifier import Notifier
from onward.watch.stream.store import WatchStore

STOP_SECONDS = 10.0
"""Time at the end of a watch for the notices that wait. If no later run can send them, this is the longest
time without a delivery."""

_POLL = 0.01
_PAGE = 1000  # notices that are read from the store at once


class Notifications:
    """Passes committed notices to targets. For the thread of the store alone.

    Args:
        store: the store of the monitor; what is not committed there is committed.
        notifiers: one for each target.
        notify: called with messages for the user, on any thread.
        first_delay: seconds before the second attempt of a delivery.

    Raises:
        WriteError: the store cannot be written.
    """

    def __init__(
        self,
        store: WatchStore,
        notifiers: Sequence[Notifier],
        notify: Callable[[str], None] = lambda _: None,
        first_delay: float = FIRST_DELAY,
    ) -> None:
        self._store = store
        last, positions = store.last_notice(), self._stored_positions()
        self._dispatchers: list[Dispatcher] = []
        for notifier in notifiers:
            taken = min(positions.get(notifier.id, last), last)
            is_repeated = notifier.repeat_seconds is not None
            opening = store.opening_alarms() if is_repeated else []
            known = [(number, alarm) for number, alarm in opening if number <= taken]
            self._dispatchers.append(
                Dispatcher(notifier, store.watch_id(), taken, known, notify, first_delay=first_delay)
            )
        self._give_up: float | None = None
        self._read = min((one.position for one in self._dispatchers), default=last)
        if notifiers:
            self.save()
            store.commit()
        self.take()

    @property
    def has_progress(self) -> bool:
        """Whether targets have taken notices that the store still holds for them."""
        return bool(self._dispatchers) and self._positions() != self._stored_positions()

    def take(self) -> None:
        """Queues the notices that were committed since the last call."""
        while self._dispatchers and (found := self._store.notices_after(self._read, _PAGE)):
            for number, notice in found:
                for dispatcher in self._dispatchers:
                    dispatcher.add(number, notice)
            self._read = found[-1][0]

    def save(self) -> None:
        """Puts the positions of the targets into the store; the caller commits them."""
        if self.has_progress:
            self._store.set_fact("targets", self._positions())

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Asks the targets to end once they have taken what waits. `finish` waits for them.

        Args:
            seconds: see `STOP_SECONDS`.
        """
        if self._give_up is None:
            self._give_up = time.monotonic() + seconds
            for dispatcher in self._dispatchers:
                dispatcher.stop(seconds)

    def finish(self, seconds: float = STOP_SECONDS) -> None:
        """Waits until the targets have taken what waits, or the time is up, and commits what they have taken.

        Changes of the store that are not committed are undone.

        Args:
            seconds: see `STOP_SECONDS`; they begin with `stop` if it was called before.

        Raises:
            WriteError: the store cannot be written.
        """
        self.stop(seconds)
        assert self._give_up is not None
        end, taken = self._give_up, self._positions()
        while any(one.is_running for one in self._dispatchers) and time.monotonic() < end:
            time.sleep(_POLL)
            before, taken = taken, self._positions()
            if not self._store.is_kept and taken != before:
                end = time.monotonic() + seconds
        if self._dispatchers and self._store.is_kept:
            self._store.undo()
            self.save()
            self._store.commit()

    def close(self) -> None:
        """Lets the threads end, without waiting for them."""
        for dispatcher in self._dispatchers:
            dispatcher.stop()

    def to_json(self) -> list[dict[str, Any]]:
        """Returns the counts of each target."""
        return [
            {"target": one.notifier.target, **vars(one.counts), "waiting": one.waiting}
            for one in self._dispatchers
        ]

    def lines(self) -> list[str]:
        """Returns a line for each target, for people."""
        kept = (
            "the next run sends them"
            if self._store.is_kept
            else "without --state, the next run does not know them"
        )
        return [
            f"{one['target']}: {one['delivered']:,} notices delivered"
            + (f", {one['dropped']:,} dropped" if one["dropped"] else "")
            + (f", {one['waiting']:,} not delivered ({kept})" if one["waiting"] else "")
            for one in self.to_json()
        ]

    def _positions(self) -> dict[str, int]:
        return {one.notifier.id: one.position for one in self._dispatchers}

    def _stored_positions(self) -> dict[str, int]:
        return self._store.fact("targets", partial(checked, dict[str, Count])) or {}
