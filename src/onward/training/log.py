"""The log of a run: events as JSON lines."""

import dataclasses
import errno
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from onward.errors import WriteError
from onward.in_place import open_in_place
from onward.stored import Count, Number, StoredModel
from onward.training.events import EpochStarted, Event, Stepped
from onward.units import nats_to_bits

LINES = 200
"""Approximate number of lines for training steps in a log."""


class LoggedEvent(StoredModel):
    """The values of a line of a log that others use; a line has more."""

    model_config = ConfigDict(extra="ignore")

    event: str
    step: Count = 0
    to: Count | None = None
    epoch: Count = 0
    symbols: Count = 0
    nats_per_symbol: Number | None = None


def read_log(path: Path) -> list[LoggedEvent]:
    """Returns the events in a log, oldest first. Lines that are not events are left out.

    Raises:
        OSError: the file cannot be read.
    """
    events: list[LoggedEvent] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, RecursionError):  # pydantic's errors are ValueErrors
            events.append(LoggedEvent.model_validate(json.loads(line)))
    return events


class RunLog:
    """An observer that writes each event to a file as a JSON object on a line.

    An object holds the event's name in lower case, the seconds since this process started the run, the
    event's values, and each loss in bits too. Steps are thinned to about `LINES` lines: each has the mean
    loss of the steps since the previous line. Epochs are thinned in the same way.

    Args:
        path: the log file.
        resumed: whether to append to the file; an incomplete last line of a killed run is removed first.

    Raises:
        WriteError: the file could not be written, now or at a later event.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._path = path
        try:
            if not resumed:
                path.unlink(missing_ok=True)  # not truncated: it may be a link that somebody else made
            handle = open_in_place(path, os.O_RDWR | os.O_APPEND, 0o666)
            self._file = os.fdopen(handle, "r+b", buffering=0)
            self._file.truncate(self._file.read().rfind(b"\n") + 1)  # to the last complete line
        except OSError as error:
            raise WriteError.of(self._path, error) from error
        self._started = time.monotonic()
        self._losses: list[float] = []
        self._every, self._epoch_step = 1, 0

    def __call__(self, event: Event) -> None:
        """Writes a line, or keeps the loss of a step for a later line."""
        line: dict[str, Any] = {"event": type(event).__name__.lower()}
        line |= {"seconds": round(time.monotonic() - self._started, 2)}
        values = dataclasses.asdict(event)
        if isinstance(event, Stepped):
            self._losses.append(event.nats_per_symbol)
            self._every = max(1, (event.steps or 0) // LINES)
            if event.step % self._every:
                return
            values["nats_per_symbol"] = sum(self._losses) / len(self._losses)
            self._losses.clear()
        if isinstance(event, EpochStarted):
            if event.step and event.step < self._epoch_step:
                return
            self._epoch_step = event.step + self._every
        if values.get("nats_per_symbol") is not None:
            values["bits_per_symbol"] = nats_to_bits(values["nats_per_symbol"])
        self._write((json.dumps(line | values) + "\n").encode())

    def close(self) -> None:
        self._file.close()

    def _write(self, line: bytes) -> None:
        """Writes a complete line, or nothing."""
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                self._file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise WriteError.of(self._path, error) from error
