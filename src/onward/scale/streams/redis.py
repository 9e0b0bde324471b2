"""A stream of Redis, read as one partition.

The hash onward:GROUP:STREAM of the server holds the id of the watch, so that a second state is found, and the
last entry in its state, as information for other programs.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from onward.errors import BusyError, CorpusError, InputError
from onward.scale.address import StreamAddress
from onward.stored import Count, StoredModel
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.stream.store import WatchStore

_AT_ONCE, _SECONDS, _RETRY_SECONDS = 1000, 10.0, 1.0
_OTHER = "for another stream of this name, name another --state and another --group"


class RedisPosition(StoredModel):
    """The place after an entry of a stream; `count` entries were added up to here."""

    stream: str
    entry: Annotated[str, Field(pattern=r"^\d{1,20}-\d{1,20}$")] = "0-0"
    count: Count = 0

    def to_json(self) -> dict[str, Any]:
        return self.model_dump()


class RedisStream:
    """A `Stream` (see `stream`), and the `LineSource` (see `watch.stream.runner`) of its only partition.

    An entry with one field is the line in its value, another one a JSON object of its fields.

    Args:
        address: address of the stream. The variable ONWARD_REDIS_PASSWORD may hold the password.
        group: name of the watch.
        follows: whether to wait for more entries.
        notify: called with messages for the user.

    Raises:
        CorpusError: the server does not answer, or has no such stream.
        InputError: the package redis is missing.
    """

    count = 1

    def __init__(
        self, address: StreamAddress, group: str, *, follows: bool, notify: Callable[[str], None]
    ) -> None:
        try:
            import redis  # noqa: PLC0415 - an extra
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415
        except ImportError as error:
            hint = "pip install '.[redis]'"
            raise InputError("Redis needs the package redis, which is not installed", hint=hint) from error
        self._address, self._follows, self._notify = address, follows, notify
        self._watch, self._hash = "", f"onward:{group}:{address.name}"
        self._deleted: tuple[int, ...] = (0, 0)  # the last entry that was deleted, as far as the user knows
        self._retry_at = 0.0  # when to try again; 0: the server answered
        self._failures, self._refusal = (redis.ConnectionError, redis.TimeoutError), redis.ResponseError
        self.position, self.truncated = RedisPosition(stream=address.name), 0
        self.is_at_end = self.ended = False
        options: Any = {"password": os.environ.get("ONWARD_REDIS_PASSWORD"), "socket_timeout": _SECONDS}
        options["retry"] = Retry(NoBackoff(), 0)  # `read` tries again
        self._client: Any = redis.Redis(*address.servers[0], **options)
        try:
            self._client.xinfo_stream(address.name)  # before the group is claimed
        except self._refusal as error:
            raise self._no_stream(error) from error
        except redis.RedisError as error:
            hint = "check the address, and that the server runs; ONWARD_REDIS_PASSWORD may hold a password"
            raise CorpusError(f"cannot reach Redis at {address}: {error}", hint=hint) from error

    def open(self, partition: int, store: WatchStore) -> "RedisStream":
        """Continues after the entry in the store; if there is none, begins with the first entry."""
        self._watch = store.watch_id()
        self.position = store.fact("position", RedisPosition.model_validate) or self.position
        return self

    def read(self) -> list[bytes]:
        """See `LineSource`. Raises an InputError if the stream or the state is not the right one."""
        if time.monotonic() < self._retry_at:
            return []
        try:
            entries = self._fetch()
        except self._failures as error:
            if not self._retry_at:
                self._notify(f"cannot reach Redis at {self._address}: {error}; trying again")
            self._retry_at, self.is_at_end = time.monotonic() + _RETRY_SECONDS, False
            return []
        if self._retry_at:
            self._notify(f"Redis at {self._address} answers again")
            self._retry_at = 0.0
        self.is_at_end, self.ended = not entries, not entries and not self._follows
        lines = [_line(fields) for _, fields in entries]
        self.truncated += sum(len(line) > LONGEST_LINE for line in lines)
        return [line[:LONGEST_LINE] for line in lines]

    def finish(self) -> list[bytes]:
        return []

    def close(self) -> None:
        self._client.close()

    def _fetch(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Returns the next entries, after checks in the same transaction."""
        name, entry = self._address.name, self.position.entry
        asked = self._client.pipeline()
        asked.hsetnx(self._hash, "watch", self._watch).hmget(self._hash, "watch", "entry")
        asked.xinfo_stream(name).xread({name: entry}, count=_AT_ONCE)
        try:
            _, (owner, known), info, found = asked.execute()
        except self._refusal as error:
            raise self._no_stream(error) from error
        if owner.decode() != self._watch:
            message = f"another watch reads {self._address}, with another state"
            raise BusyError(message, hint="use the state that began the stream, or name another --group")
        if _id(known) > _id(entry) or _id(info["last-generated-id"]) < _id(entry):
            message = f"the state is an older copy, or {self._address} was deleted and created again"
            raise InputError(message, hint=f"use the newest state; {_OTHER}")
        self._client.hset(self._hash, "entry", entry)
        entries, added = found[0][1] if found else [], info.get("entries-added", 0)
        gone, deleted = added - info["length"], _id(info.get("max-deleted-entry-id"))
        count = self.position.count if self.position.count else gone
        if gone > count or deleted > max(_id(entry), self._deleted):
            self._notify(f"{self._address}: entries were removed before they were read: they are lost")
            self._deleted = deleted
        last = entries[-1][0].decode() if entries else entry
        count = max(count, gone) + len(entries) if entries else added
        self.position = RedisPosition(stream=name, entry=last, count=count)
        return entries

    def _no_stream(self, error: Exception) -> CorpusError:
        message = f"cannot read a stream {self._address.name} at {self._address}: {error}"
        return CorpusError(message, hint=f"check the name, and that the stream was not deleted; {_OTHER}")


def _id(text: bytes | str | None) -> tuple[int, ...]:
    """Returns the id of an entry, MILLISECONDS-NUMBER, as numbers, which have its order."""
    return tuple(map(int, (text.decode() if isinstance(text, bytes) else text or "0-0").split("-")))


def _line(fields: dict[bytes, bytes]) -> bytes:
    if len(fields) == 1:
        return next(iter(fields.values()))
    text = [[part.decode("utf-8", "replace") for part in field] for field in fields.items()]
    return json.dumps(dict(text)).encode()
