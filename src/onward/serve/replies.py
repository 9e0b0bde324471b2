"""Answers to batches that were named, so that one that is sent twice is read once."""

from typing import Any

from onward.serve.batches import Batch
from onward.serve.refusal import Refusal
from onward.watch.store import Store

REMEMBERED = 256
"""Batches whose answers are kept, the latest ones."""


class Replies:
    """The answers, kept in the store of the watch: they are committed with what the batches did.

    Args:
        store: of the watch.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = store.fact("replies") or 0
        begun = max(0, self._next - REMEMBERED)
        kept = {slot: self._store.fact(_name(slot)) for slot in range(begun, self._next)}
        self._slots = {reply["key"]: slot for slot, reply in kept.items() if reply}

    def find(self, batch: Batch) -> dict[str, Any] | None:
        """What was answered to a batch of that name; None if it was not seen.

        Raises:
            Refusal: the name was that of another batch.
        """
        slot = None if batch.key is None else self._slots.get(batch.key)
        if slot is None or slot < self._next - REMEMBERED:
            return None
        reply = self._store.fact(_name(slot))
        if reply["digest"] != batch.digest:
            message = f"expected another name for another batch, got {batch.key!r} again"
            raise Refusal(409, "idempotency_conflict", message, param="idempotency_key")
        return reply["answer"]

    def keep(self, batch: Batch, answer: dict[str, Any]) -> None:
        """Notes the answer to a batch; durable with the next commit."""
        if batch.key is None:
            return
        self._store.set_fact(_name(self._next), {"key": batch.key, "digest": batch.digest, "answer": answer})
        self._slots[batch.key] = self._next
        self._next += 1
        self._store.set_fact("replies", self._next)


def _name(slot: int) -> str:
    """Of the fact that holds an answer; the latest takes the place of the oldest."""
    return f"reply {slot % REMEMBERED}"
