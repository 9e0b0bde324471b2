"""The run of a watch: lines in, alarms out, continued after a kill at any moment.

One transaction holds the position in the source and all results of the lines before it: the open sequences,
the counts, the incidents, and the alarms in the outbox. Alarms are delivered after it (see `delivery`).
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from onward.errors import InputError
from onward.file_kind import kind_of
from onward.signals import held_back_signals
from onward.stored import StoredModel, whole_number
from onward.watch.input.log_folders import LogFolders, NotFollowedError
from onward.watch.input.parsers import RecordParser
from onward.watch.input.records import Record
from onward.watch.input.stdin import Pipe
from onward.watch.input.tail import Follower
from onward.watch.input.tailed_file import Position
from onward.watch.stream.delivery import AlarmDelivery
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.store import WatchStore

POLL = 0.2
"""Seconds between two checks for new lines."""


@runtime_checkable
class LineSource(Protocol):
    """A source of lines: `Follower` or `Pipe`."""

    ended: bool

    @property
    def position(self) -> Position | None: ...

    @property
    def truncated(self) -> int: ...

    def read(self) -> list[bytes]: ...

    def finish(self) -> list[bytes]: ...

    def close(self) -> None: ...


def open_lines(
    source: str,
    store: WatchStore,
    *,
    follow: bool = False,
    follow_links: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> LineSource:
    """Opens a source at the position in the store.

    Args:
        source: a file, or "-" for standard input.
        store: the store of the monitor.
        follow: whether to wait for more lines at the end of the file.
        follow_links: whether to follow links that were made after the watch began (see `LogFolders`).
        notify: called with messages for the user.

    Raises:
        InputError: the file does not exist or is not a file, or standard input is to be followed.
    """
    if source == "-":
        if follow:
            raise InputError(
                "standard input cannot be followed: it is always read until it ends",
                hint="leave out --follow",
            )
        return Pipe()
    path = Path(source)
    if path.exists() and not path.is_file():
        raise InputError(
            f"expected a file, got {kind_of(path.stat().st_mode)}: {path}",
            hint="to read a pipe, give - as the source and the pipe as standard input",
        )
    if not follow and not path.exists():
        raise InputError(f"expected a file, but there is no {path}", hint="use --follow to wait for it")
    folders = _log_folders(path, store, follow_links, notify)
    try:
        folders.resolve(path)
    except NotFollowedError as error:
        if not follow:
            raise InputError(str(error), hint="check who may write to its folder") from error
    except OSError:  # it does not exist yet
        pass
    position = store.fact("position", Position.from_json)
    return Follower(path, position, notify, grows=follow, folders=folders)


def _log_folders(
    path: Path, store: WatchStore, follow_links: bool, notify: Callable[[str], None]
) -> LogFolders:
    """Returns the folders of the log. The store knows where a link led when the watch began."""
    log, began = str(path.absolute()), store.fact("log", _StoredLog.model_validate)
    linked = Path(began.folder) if began and began.path == log else None
    folders = LogFolders(path, linked, follow_links=follow_links, notify=notify)
    store.set_fact("log", {"path": log, "folder": str(folders.linked)})
    return folders


class _StoredLog(StoredModel):
    """The path of a log as it was given, and the folder that holds it once links are followed."""

    path: str
    folder: str


class Runner:
    """Reads lines until they end or a signal arrives, and delivers the alarms.

    Args:
        monitor: takes the records.
        parser: parses the lines.
        lines: the source; `run` closes it.
        delivery: takes the alarms; `run` closes it.
        end: whether open sequences end with the source; by default if the store is temporary.
        notify: called once, with a message about the first line that could not be parsed.
    """

    def __init__(
        self,
        monitor: Monitor,
        parser: RecordParser,
        lines: LineSource,
        delivery: AlarmDelivery,
        *,
        end: bool | None = None,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._notify = notify
        self._monitor, self._parser, self._lines, self._delivery = monitor, parser, lines, delivery
        self._end = not monitor.store.is_kept if end is None else end
        self._line_number = monitor.store.fact("lines", whole_number) or 0
        self._counted = parser.unreadable.count  # unreadable lines that the monitor has counted
        monitor.store.fact("reader", parser.restore)

    @property
    def delivered(self) -> int:
        """Number of alarms that this run has delivered."""
        return self._delivery.delivered

    @property
    def truncated(self) -> int:
        """Number of lines that this run has cut because they were too long."""
        return self._lines.truncated

    def run(self) -> bool:
        """Reads to the end, and returns whether a signal ended the run.

        Raises:
            CorpusError: the source cannot be read.
            WriteError: the state or the alarms cannot be written; the next run repeats the last step.
        """
        try:
            with held_back_signals() as stopped:
                self._commit()  # the position, before the first line is read
                waiting_since: float | None = None
                while not stopped():
                    lines = self._lines.read()
                    if lines:
                        self._read(lines)
                    elif self._lines.ended:
                        break
                    else:
                        waiting_since = self._wait(waiting_since)
                if not stopped():
                    self._finish()
                self._delivery.finish()
                return stopped()
        finally:
            self._lines.close()
            self._delivery.close()

    def _read(self, lines: Sequence[bytes]) -> None:
        records: list[Record] = []
        for raw in lines:
            self._line_number += 1
            records += self._parser.read(raw, self._line_number)
        self._feed(records)
        self._commit()

    def _feed(self, records: Sequence[Record]) -> None:
        count = self._parser.unreadable.count
        self._monitor.feed(records, unparsable=count - self._counted)
        if count and not self._counted:
            number, reason = self._parser.unreadable.examples[0]
            self._notify(f"line {number:,} could not be read: {reason}; further ones are only counted")
        self._counted = count

    def _wait(self, since: float | None) -> float:
        """Lets time pass, which may end idle sequences and close incidents, and returns the present time.

        Args:
            since: the time that the last call returned; None: it is not known.
        """
        now = time.monotonic()
        if since is not None:
            self._monitor.wait(now - since)
            if self._delivery.is_due:
                self._commit()
        time.sleep(POLL)
        return now

    def _finish(self) -> None:
        """Handles the end of the source."""
        if self._end:
            if rest := self._lines.finish():
                self._read(rest)
            self._feed(self._parser.finish())
            self._monitor.end()
            self._monitor.close_incidents()
        self._commit()

    def _commit(self) -> None:
        """Commits the position and the results, then delivers the alarms."""
        facts: dict[str, Any] = {"lines": self._line_number}
        if position := self._lines.position:
            facts["position"] = position.to_json()
        if state := self._parser.state:
            facts["reader"] = state
        self._monitor.commit(**facts)
        self._delivery.send()
