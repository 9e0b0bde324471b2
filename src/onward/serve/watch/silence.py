"""Measures how long no records have arrived."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SilenceTimer:
    """Measures the time without records.

    While a batch is processed, other records wait for their turn, so this time does not count as silence. It
    counts as time passed once the next records are read.

    Args:
        clock: returns a time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._busy = 0.0  # busy seconds since the last records; they are not silence

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Excludes the time until the block ends from the silence."""
        begin = self._clock()
        try:
            yield
        finally:
            end = self._clock()
            self._busy += end - begin
            self._since += end - begin

    def silence(self) -> float:
        """Returns the seconds of silence since the last call of a method."""
        now = self._clock()
        seconds, self._since = now - self._since, now
        return seconds

    def until_records(self) -> float:
        """Returns the seconds since the last records or call of `silence`, busy seconds included."""
        seconds = self.silence() + self._busy
        self._busy = 0.0
        return seconds
