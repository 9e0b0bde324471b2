"""Sends notices to one target on a thread of its own, so that a slow target never delays the watch.

The queue is short and in memory. The store has all notices, and the last one that each target accepted, so a
kill loses nothing (see `notifications`).
"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onward.watch.stream.alarms import Alarm
from onward.watch.stream.incidents import Incident
from onward.watch.stream.notifier import DeliveryError, Notifier
from onward.watch.stream.store import Notice

QUEUE = 10_000
"""Maximum number of notices that wait for a target. Beyond that, the oldest are dropped."""

FIRST_DELAY, LONGEST_DELAY = 1.0, 300.0
"""Seconds before the second attempt, and the longest time between two attempts. Each delay is doubled, and
shortened by up to a half at random, so that watches do not return to a target all at once."""

_OPEN = 1000  # open incidents that are repeated


@dataclass
class DeliveryCounts:
    """Counts of one target, since the process started.

    Attributes:
        delivered: notices that the target has taken.
        failures: attempts that failed.
        dropped: notices that the target refused, or that waited when the queue was full.
    """

    delivered: int = 0
    failures: int = 0
    dropped: int = 0


class Dispatcher:
    """The queue and the thread of one target. The thread starts at once.

    Args:
        notifier: sends notices to the target.
        watch: names the watch; with the number of a notice, it names the notice.
        position: number of the last notice that the target has taken.
        opening: the opening alarms of incidents that the target knows as open, with their numbers.
        notify: called with messages for the user, on any thread.
        first_delay: seconds before the second attempt.

    Attributes:
        notifier: as given.
        counts: the counts so far.
    """

    def __init__(
        self,
        notifier: Notifier,
        watch: str,
        position: int,
        opening: Iterable[tuple[int, Alarm]],
        notify: Callable[[str], None],
        first_delay: float = FIRST_DELAY,
    ) -> None:
        self.notifier, self.counts = notifier, DeliveryCounts()
        self._watch, self._notify, self._first_delay = watch, notify, first_delay
        self._position = position  # number of the last notice that was queued
        self._queue: deque[tuple[int, Notice]] = deque()
        self._open = {alarm.membership.incident: (number, alarm) for number, alarm in opening}
        self._repeated = -math.inf if self._open else time.monotonic()
        self._failed = 0  # attempts in a row
        self._is_full = self._is_stopping = False
        self._patience = self._give_up = 0.0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="onward-notify", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """Number of the last notice up to which the target has taken all notices."""
        with self._changed:
            return self._queue[0][0] - 1 if self._queue else self._position

    @property
    def waiting(self) -> int:
        """Number of notices that wait."""
        return len(self._queue)

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def add(self, number: int, notice: Notice) -> None:
        """Queues a notice, unless the target has already taken it. Notices that are no news are left out."""
        with self._changed:
            if number <= self._position:
                return
            self._position = number
            if isinstance(notice, Alarm) and not notice.is_news:
                return
            self._queue.append((number, notice))
            is_first_drop = len(self._queue) > QUEUE and not self._is_full
            while len(self._queue) > QUEUE:
                self._drop(self._queue.popleft()[1])
                self._is_full = True
            self._changed.notify_all()
        if is_first_drop:
            self._notify(f"{self.notifier.target}: more than {QUEUE:,} notices wait; the oldest are dropped")

    def stop(self, seconds: float = 0.0) -> None:
        """Lets the thread end once the queue is empty, or an attempt fails.

        Args:
            seconds: for so long after this call, or the last delivery, failed attempts are repeated.
        """
        with self._changed:
            self._is_stopping, self._patience = True, seconds
            self._give_up = time.monotonic() + seconds
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._is_stopping, self._until_repeat())
                head = self._queue[0] if self._queue else None
                if head is None and self._is_stopping:
                    return
            try:
                if head:
                    self._send(*head)
                if self._until_repeat() == 0:
                    self._repeat()
            except DeliveryError as error:
                if not self._wait(error):
                    return

    def _send(self, number: int, notice: Notice) -> None:
        """Sends the first notice of the queue, and removes it.

        Raises:
            DeliveryError: it is to be sent again.
        """
        if self._deliver(number, notice):
            self.counts.delivered += 1
            self._note_open(number, notice)
        else:
            self._drop(notice)
        with self._changed:
            if self._queue and self._queue[0][0] == number:  # else it was dropped in the meantime
                self._queue.popleft()
            self._is_full = self._is_full and bool(self._queue)

    def _repeat(self) -> None:
        """Sends the opening alarms of open incidents again.

        Raises:
            DeliveryError: they are to be sent again.
        """
        self._repeated = time.monotonic()
        with self._changed:
            opened = list(self._open.items())
        for incident, (number, alarm) in opened:
            if not self._deliver(number, alarm):
                self._open.pop(incident, None)

    def _drop(self, notice: Notice) -> None:
        """Counts a notice that the target never gets. An incident that was closed is not sent again."""
        self.counts.dropped += 1
        if isinstance(notice, Incident):
            self._open.pop(notice.number, None)

    def _deliver(self, number: int, notice: Notice) -> bool:
        """Sends a notice. Returns False if the target refuses it for good.

        Raises:
            DeliveryError: it is to be sent again.
        """
        name = f"{self._watch}-{number}"
        try:
            self.notifier.send(name, notice)
        except DeliveryError as error:
            if not error.is_final:
                raise
            self.counts.failures += 1
            self._notify(f"{self.notifier.target} refuses notice {name}: {error}")
            return False
        if self._failed:
            self._notify(f"{self.notifier.target} works again: delivery continues")
            self._failed = 0
        self._give_up = time.monotonic() + self._patience
        return True

    def _wait(self, error: DeliveryError) -> bool:
        """Waits after a failure. Returns whether to try again."""
        self.counts.failures += 1
        if self._failed == 0:
            self._notify(f"cannot deliver to {self.notifier.target}: {error}; trying again")
        delay = min(self._first_delay * 2 ** min(self._failed, 20), LONGEST_DELAY) * random.uniform(0.5, 1.0)
        if error.wait is not None:
            delay = max(delay, min(error.wait, LONGEST_DELAY))
        self._failed += 1
        with self._changed:
            if not self._is_stopping:
                self._changed.wait_for(lambda: self._is_stopping, delay)
                return True
        time.sleep(max(0.0, min(delay, self._give_up - time.monotonic())))
        return time.monotonic() < self._give_up

    def _note_open(self, number: int, notice: Notice) -> None:
        if self.notifier.repeat_seconds is None:
            return
        with self._changed:
            if isinstance(notice, Alarm):
                self._open[notice.membership.incident] = number, notice
                if len(self._open) > _OPEN:
                    del self._open[next(iter(self._open))]
            else:  # it was closed
                self._open.pop(notice.number, None)

    def _until_repeat(self) -> float | None:
        """Returns the seconds until open incidents are to be sent again; None: never."""
        if self.notifier.repeat_seconds is None:
            return None
        return max(0.0, self._repeated + self.notifier.repeat_seconds - time.monotonic())
