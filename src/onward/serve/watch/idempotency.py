"""Responses to batches that have an idempotency key: a batch that is sent twice is read once."""

import json
from functools import partial
from typing import Any, NamedTuple

from onward.serve.http.errors import ApiError
from onward.serve.http.limits import MEGABYTE
from onward.serve.watch.batches import Batch
from onward.stored import Count, StoredModel, checked, whole_number
from onward.watch.stream.store import WatchStore

MAX_RESPONSES = 256
MAX_BYTES = 64 * MEGABYTE
"""Maximum number and total size of the responses; the oldest are dropped first."""


class _Response(NamedTuple):
    """The number of a stored response, the digest of its batch, and its length as JSON."""

    number: int
    digest: str
    size: int


class _StoredKey(StoredModel):
    """The fact that holds the key of a response."""

    key: str
    digest: str
    size: Count


class IdempotencyStore:
    """The responses, kept in the store of the detector: they are committed together with their batches.

    The keys are in memory. The responses stay in the file until they are needed.

    Args:
        store: store of the detector.
    """

    def __init__(self, store: WatchStore) -> None:
        self._store = store
        self._next = store.fact("replies", whole_number) or 0
        self._known: dict[str, _Response] = {}  # by key, the oldest first
        for number in range(max(0, self._next - MAX_RESPONSES), self._next):
            if kept := store.fact(_key_fact(number), _StoredKey.model_validate):
                self._known[kept.key] = _Response(number, kept.digest, kept.size)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, batch: Batch) -> dict[str, Any] | None:
        """Returns the response to the batch with this key; None if it is new, or has no key.

        Raises:
            ApiError: 409, the key belongs to another batch.
        """
        known = None if batch.key is None else self._known.get(batch.key)
        if known is None:
            return None
        if known.digest != batch.digest:
            message = f"expected a new idempotency_key for a new batch, got {batch.key!r} again"
            hint = "use a key again only to send the same batch again"
            raise ApiError(409, "idempotency_conflict", message, param="idempotency_key", hint=hint)
        return self._store.fact(_response_fact(known.number), partial(checked, dict[str, Any]))

    def keep(self, batch: Batch, response: dict[str, Any]) -> None:
        """Keeps the response to a batch that has a key. It is durable after the next commit."""
        if batch.key is None:
            return
        kept = _Response(self._next, batch.digest, len(json.dumps(response)))
        self._drop_oldest(kept.size)
        self._known[batch.key] = kept
        fact = {"key": batch.key, "digest": kept.digest, "size": kept.size}
        self._store.set_fact(_key_fact(kept.number), fact)
        self._store.set_fact(_response_fact(kept.number), response)
        self._next += 1
        self._store.set_fact("replies", self._next)

    def _drop_oldest(self, size: int) -> None:
        """Drops the oldest responses until a response of this size fits."""
        total = size + sum(response.size for response in self._known.values())
        while self._known and (len(self._known) >= MAX_RESPONSES or total > MAX_BYTES):
            oldest = self._known.pop(next(iter(self._known)))
            total -= oldest.size
            self._store.set_fact(_key_fact(oldest.number), None)
            self._store.set_fact(_response_fact(oldest.number), None)


def _key_fact(number: int) -> str:
    """Returns the name of the fact that holds the key of a response. Names are reused in a ring."""
    return f"reply {number % MAX_RESPONSES}"


def _response_fact(number: int) -> str:
    """Returns the name of the fact that holds a response."""
    return f"answer {number % MAX_RESPONSES}"
