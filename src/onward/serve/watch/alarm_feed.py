"""Keeps the latest alarms of a detector for the clients that follow them."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from onward.serve.watch.transactions import Commit
from onward.watch.stream.alarms import Alarm

RECENT = 500
"""Number of alarms in memory. They can be read while the detector is busy."""


class AlarmFeed:
    """The last alarms and the report of a detector as of the last commit. For the event loop alone.

    Args:
        alarms: the last alarms so far.
        report: the report of the detector so far.

    Attributes:
        report: the report as of the last commit.
    """

    def __init__(self, alarms: Sequence[Alarm], report: dict[str, Any]) -> None:
        self.report = report
        self._recent = deque(alarms, RECENT)
        self._changed = asyncio.Event()

    def publish(self, commit: Commit) -> None:
        """Adds a commit, and wakes up the clients that wait."""
        self._recent.extend(commit.alarms)
        self.report = commit.report
        self._changed.set()
        self._changed = asyncio.Event()

    def last(self, count: int) -> list[Alarm]:
        """Returns the last alarms, in order."""
        return list(self._recent)[-count:]

    def after(self, number: int, count: int) -> list[Alarm] | None:
        """Returns the first alarms after a number; None if they are no longer in memory."""
        if number >= self.report["last_alarm"]:
            return []
        if self._recent and self._recent[0].number <= number + 1:
            return [alarm for alarm in self._recent if alarm.number > number][:count]
        return None

    def next_change(self) -> asyncio.Event:
        """Returns an event that is set at the next commit."""
        return self._changed
