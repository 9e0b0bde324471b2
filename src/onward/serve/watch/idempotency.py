"""Answers to batches that were named, so that one that is sent twice is read once."""

import json
from typing import Any, NamedTuple

from onward.serve.http.errors import ApiError
from onward.serve.http.limits import MEGABYTE
from onward.serve.watch.batches import Batch
from onward.watch.stream.store import WatchStore

REMEMBERED = 256
"""Batches whose answers are kept, the latest ones."""

KEPT_BYTES = 64 * MEGABYTE
"""Of all answers together; those to the oldest batches go first."""


class _Reply(NamedTuple):
    """The number that an answer has, the digest of the batch that it was given to, and how long it is."""

    number: int
    digest: str
    size: int


class IdempotencyStore:
    """The answers, kept in the store of the watch: they are committed with what the batches did.

    Names are held in memory; answers stay in the file until they are asked for.

    Args:
        store: of the watch.
    """

    def __init__(self, store: WatchStore) -> None:
        self._store = store
        self._next = store.fact("replies") or 0
        self._known: dict[str, _Reply] = {}  # the oldest first
        for number in range(max(0, self._next - REMEMBERED), self._next):
            if kept := store.fact(_name(number)):
                self._known[kept["key"]] = _Reply(number, kept["digest"], kept["size"])

    def __len__(self) -> int:
        """Batches that are remembered."""
        return len(self._known)

    def find(self, batch: Batch) -> dict[str, Any] | None:
        """What was answered to a batch of that name; None if it was not seen.

        Raises:
            Refusal: the name was that of another batch.
        """
        reply = None if batch.key is None else self._known.get(batch.key)
        if reply is None:
            return None
        if reply.digest != batch.digest:
            message = f"expected another name for another batch, got {batch.key!r} again"
            raise ApiError(
                409,
                "idempotency_conflict",
                message,
                param="idempotency_key",
                hint="only a batch that is sent again has the same key",
            )
        return self._store.fact(_answer(reply.number))

    def keep(self, batch: Batch, answer: dict[str, Any]) -> None:
        """Notes the answer to a batch; durable with the next commit."""
        if batch.key is None:
            return
        reply = _Reply(self._next, batch.digest, len(json.dumps(answer)))
        self._make_room(reply.size)
        self._known[batch.key] = reply
        name = {"key": batch.key, "digest": reply.digest, "size": reply.size}
        self._store.set_fact(_name(reply.number), name)
        self._store.set_fact(_answer(reply.number), answer)
        self._next += 1
        self._store.set_fact("replies", self._next)

    def _make_room(self, size: int) -> None:
        """Forgets the oldest where there is no place for one more of that size."""
        total = size + sum(reply.size for reply in self._known.values())
        while self._known and (len(self._known) >= REMEMBERED or total > KEPT_BYTES):
            oldest = self._known.pop(next(iter(self._known)))
            total -= oldest.size
            self._store.set_fact(_name(oldest.number), None)
            self._store.set_fact(_answer(oldest.number), None)


def _name(number: int) -> str:
    """Of the fact that says to which batch an answer was given; the latest takes the place of the oldest."""
    return f"reply {number % REMEMBERED}"


def _answer(number: int) -> str:
    """Of the fact that holds the answer itself."""
    return f"answer {number % REMEMBERED}"
