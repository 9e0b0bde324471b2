"""Delivers notices once they are committed, and continues after a kill.

Notices are alarms, and incidents that were closed. The store keeps those that were committed and not
delivered: the outbox. After the delivery, a second transaction marks them as delivered. So after a kill

    the alarm file    has each notice exactly once, as soon as the next run has started
    the sink          has each notice at least once, such as a topic of Kafka
    the callable      has each notice at least once: a kill during a delivery repeats the notices of one
                      batch, with the same numbers, so that a reader can recognise them
    the targets       have each notice at least once (see `notifications`)
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from onward.errors import WriteError
from onward.in_place import open_in_place
from onward.stored import whole_number
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.notifications import Notifications
from onward.watch.stream.store import Notice, WatchStore

Deliver = Callable[[Notice], None]


@runtime_checkable
class NoticeSink(Protocol):
    """Takes notices for good, such as a topic."""

    def write(self, notices: Sequence[Notice]) -> None:
        """Writes notices, and returns once they are durable; otherwise raises WriteError."""
        ...


class AlarmDelivery:
    """Passes the notices in the outbox of a store to a callable, to a file, to a sink and to targets.

    Args:
        store: the store of the monitor.
        deliver: takes the notices in order.
        path: file to append the notices to, as JSON lines; None: no file.
        notifications: the targets that get the notices, each at its own pace; None: none.
        sink: takes the notices before they count as delivered; None: there is none.

    Attributes:
        delivered: number of alarms delivered in this run.

    Raises:
        WriteError: the file cannot be written.
    """

    def __init__(
        self,
        store: WatchStore,
        deliver: Deliver,
        path: Path | None = None,
        notifications: Notifications | None = None,
        sink: NoticeSink | None = None,
    ) -> None:
        self._store, self._deliver, self._sink = store, deliver, sink
        self._notifications = notifications or Notifications(store, [])
        self._file = AlarmFile(path, store.fact("alarms_length", whole_number)) if path else None
        self.delivered = 0

    @property
    def is_due(self) -> bool:
        """Whether `send` would deliver or note something."""
        return self._store.has_notices() or self._notifications.has_progress

    def send(self) -> None:
        """Delivers all notices in the outbox, which are committed, and commits that they are delivered.

        Targets get them later, on threads of their own.

        Raises:
            WriteError: the file or the sink cannot be written; the notices stay in the outbox.
        """
        self._notifications.take()
        notices = self._store.outbox()
        is_noted = self._file is None or self._file.length == self._store.fact("alarms_length")
        if not notices and is_noted and not self._notifications.has_progress:
            return
        if self._file:
            self._file.write(notices)
            self._store.set_fact("alarms_length", self._file.length)
        if self._sink and notices:
            self._sink.write(notices)
        for notice in notices:
            self._deliver(notice)
        self.delivered += sum(isinstance(notice, Alarm) for notice in notices)
        self._store.delivered()
        self._notifications.save()
        self._store.commit()

    def finish(self) -> None:
        """Gives the targets some seconds for the notices that wait. Undoes changes that are not committed.

        Raises:
            WriteError: the store cannot be written.
        """
        self._notifications.finish()

    def stop(self) -> None:
        """Asks the targets to end once they have taken what waits; `finish` waits for them."""
        self._notifications.stop()

    def close(self) -> None:
        self._notifications.close()
        if self._file:
            self._file.close()


class AlarmFile:
    """A file of JSON lines that gets each notice once, even if the process is killed.

    The store holds the length of the file after the last delivery. Bytes beyond this length come from a run
    that was killed during a delivery. They are a prefix of the notices in the outbox, so only the rest is
    written.

    Args:
        path: the file; if it does not exist, it is created for this user alone, because logs may be private.
        length: length of the file in bytes according to the store; None if the store has none.

    Attributes:
        length: bytes of the file that are accounted for.

    Raises:
        WriteError: the file cannot be written.
    """

    def __init__(self, path: Path, length: int | None) -> None:
        self._path = path
        try:
            self._file = open_in_place(path, os.O_RDWR | os.O_APPEND)
            size = os.fstat(self._file).st_size
        except OSError as error:
            raise _write_error(path, error) from error
        self._surplus = b""
        self.length = size
        if length is not None and length <= size:
            self.length = length
            self._surplus = os.pread(self._file, size - length, length)

    def write(self, notices: Sequence[Notice]) -> None:
        """Appends notices, and flushes them to the disk.

        Raises:
            WriteError: the file cannot be written.
        """
        content = "".join(f"{notice.encode()}\n" for notice in notices).encode()
        surplus, self._surplus = self._surplus, b""
        if not content.startswith(surplus):  # another program wrote it
            self.length += len(surplus)
            surplus = b""
        try:
            rest = memoryview(content)[len(surplus) :]
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise _write_error(self._path, error) from error
        self.length += len(content)

    def close(self) -> None:
        os.close(self._file)


def _write_error(path: Path, error: OSError) -> WriteError:
    hint = "check that the folder exists and is writable, and that the disk has free space; no alarm is lost"
    return WriteError(f"cannot write alarms to {path}: {error.strerror}", hint=hint)
