"""Bounds the number of requests at once."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from onward.serve.http.errors import ApiError


class Slots:
    """Counts the requests that use a resource, and refuses those above the limit. For the event loop alone.

    Args:
        limit: the largest number of requests at once.
        busy: end of the error message after the number, such as "requests wait for this model".
        shared: whether one client may only take half of the slots, see `client_of`.
        retry_seconds: seconds after which a refused client should try again.

    Attributes:
        used: current number of requests.
    """

    def __init__(self, limit: int, busy: str, *, shared: bool = False, retry_seconds: int = 1) -> None:
        self.used = 0
        self._limit, self._busy, self._retry_seconds = limit, busy, retry_seconds
        self._each = half(limit) if shared else limit
        self._used_by = Counter[Hashable]()

    @contextmanager
    def take(self, client: Hashable = None) -> Iterator[None]:
        """Takes a slot until the block ends.

        Raises:
            ApiError: 429, all slots are taken, or all that this client may take.
        """
        if self.used >= self._limit:
            raise self._refusal(f"{self.used} {self._busy}, which is the limit")
        if self._used_by[client] >= self._each:
            raise self._refusal(f"{self._each} {self._busy} for one client, which is the limit")
        self.used += 1
        self._used_by[client] += 1
        try:
            yield
        finally:
            self.used -= 1
            self._used_by[client] -= 1
            if not self._used_by[client]:
                del self._used_by[client]

    def _refusal(self, message: str) -> ApiError:
        headers = {"Retry-After": str(self._retry_seconds)}
        return ApiError(429, "busy", message, hint="try again later", headers=headers)


def half(limit: int) -> int:
    """Returns the share of one client in a limit, at least one."""
    return -(-limit // 2)
