"""How long no records have come."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SilenceTimer:
    """Measures the time without records.

    While a batch is processed, no records can be read: others wait for their turn. So this time is not
    silence, except before the next records: for them it has passed.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._busy = 0.0  # seconds since the last records that are not silence

    @contextmanager
    def busy(self) -> Iterator[None]:
        """The time until the block ends is not silence."""
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
        """Returns the seconds since the last records or `silence`, the busy ones included."""
        seconds = self.silence() + self._busy
        self._busy = 0.0
        return seconds
