"""Bounds the number of requests at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from onward.serve.http.errors import ApiError


class Slots:
    """Counts the requests that use a resource, and refuses those above the limit. For the event loop alone.

    Args:
        limit: the largest number of requests at once.
        busy: end of the error message after the number, such as "requests wait for this model".
        retry_seconds: seconds after which a refused client should try again.

    Attributes:
        used: current number of requests.
    """

    def __init__(self, limit: int, busy: str, *, retry_seconds: int = 1) -> None:
        self.used = 0
        self._limit, self._busy, self._retry_seconds = limit, busy, retry_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Takes a slot until the block ends.

        Raises:
            ApiError: 429, all slots are taken.
        """
        if self.used >= self._limit:
            message = f"{self.used} {self._busy}, which is the limit"
            headers = {"Retry-After": str(self._retry_seconds)}
            raise ApiError(429, "busy", message, hint="try again later", headers=headers)
        self.used += 1
        try:
            yield
        finally:
            self.used -= 1
