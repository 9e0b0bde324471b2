"""Learns from normal sequences for how long a sequence may have no record."""

from collections.abc import Iterable, Iterator
from typing import Any

from onward.watch.input.records import Record

IDLE = 3600.0
"""Seconds without a record after which a sequence ends, if the source that was learned has no times."""

_FACTOR = 2.0
_LEAST, _MOST = 60.0, 86_400.0
"""Bounds of the result. A late line does not end a sequence; a wrong time in training has little effect."""


class Pauses:
    """Notes the longest time between two records of a sequence, while records pass through.

    Attributes:
        longest: seconds; None before a sequence has two records with times.
    """

    def __init__(self) -> None:
        self.longest: float | None = None
        self._latest: dict[str, float] = {}  # the time of the last record of each open sequence

    def noted(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yields the records."""
        for record in records:
            if record.time is not None:
                before = self._latest.get(record.key)
                if before is not None:
                    self.longest = max(self.longest or 0.0, record.time - before)
                if record.last:
                    self._latest.pop(record.key, None)
                else:
                    self._latest[record.key] = record.time
            yield record


def idle_seconds(source: dict[str, Any]) -> float:
    """Returns the seconds without a record after which a sequence ends: twice the longest pause in training.

    Args:
        source: the `source` of a detector.
    """
    longest = source.get("longest_pause")
    return IDLE if longest is None else min(max(_FACTOR * longest, _LEAST), _MOST)
