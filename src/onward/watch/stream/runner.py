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
class SourcePosition(Protocol):
    """A place in a source, between two lines. The source continues there if it is opened with it."""

    def to_json(self) -> dict[str, Any]: ...


@runtime_checkable
class LineSource(Protocol):
    """A source of lines: `Follower`, `Pipe`, or a partition of a topic.

    Attributes:
        ended: whether the lines end when `read` returns [].
        is_at_end: whether the source is known to have no more lines at present when `read` returns [].
        truncated: number of lines so far that were cut because they were too long.
        position: the place after the last line that was returned; None: the source cannot be read again.
    """

    @property
    def ended(self) -> bool: ...

    @property
    def is_at_end(self) -> bool: ...

    @property
    def truncated(self) -> int: ...

    @property
    def position(self) -> SourcePosition | None: ...

    def read(self) -> list[bytes]:
        """Returns the next lines. The lines of earlier calls, and the position after them, are committed."""
        ...

    def finish(self) -> list[bytes]:
        """Returns the last line if it has no line end, else []."""
        ...

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
    """Reads the lines of one source, and delivers the alarms (see `run_all`).

    Args:
        monitor: takes the records.
        parser: parses the lines.
        lines: the source; `close` closes it.
        delivery: takes the alarms; `close` closes it.
        end: whether open sequences end with the source; by default if the store is temporary.
        notify: called once, with a message about the first line that could not be parsed.

    Attributes:
        ended: whether the source had no more lines, and none will come.
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
        self._waiting_since: float | None = None
        self.ended = False
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
        """Reads to the end, and returns whether a signal ended the run. For errors, see `run_all`."""
        return run_all([self])

    def begin(self) -> None:
        """Commits the position before the first line is read."""
        self._commit()

    def step(self) -> bool:
        """Reads the next lines, or lets time pass if there are none. Returns whether there were lines."""
        lines = self._lines.read()
        self.ended = not lines and self._lines.ended
        if lines:
            self._read(lines)
        elif not self.ended:
            self._wait()
        return bool(lines)

    def finish(self) -> None:
        """Handles the end of the source."""
        if self._end:
            if rest := self._lines.finish():
                self._read(rest)
            self._feed(self._parser.finish())
            self._monitor.end()
            self._monitor.close_incidents()
        self._commit()

    def stop(self) -> None:
        """Asks the targets to end once they have taken what waits; `finish_delivery` waits for them."""
        self._delivery.stop()

    def finish_delivery(self) -> None:
        """Gives the targets some seconds for the notices that wait."""
        self._delivery.finish()

    def close(self) -> None:
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

    def _wait(self) -> None:
        """Lets time pass, which may end idle sequences and close incidents.

        Time passes only while the source is known to have no more lines. Otherwise it may only be out of
        reach, and its lines come later.
        """
        now, since = time.monotonic(), self._waiting_since
        if since is not None and self._lines.is_at_end:
            self._monitor.wait(now - since)
        self._waiting_since = now if self._lines.is_at_end else None
        if self._delivery.is_due:
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


def no_work() -> None:
    """What `run_all` does between two rounds by default."""


def run_all(runners: Sequence[Runner], between: Callable[[], None] = no_work) -> bool:
    """Runs until all sources have ended or a signal arrives, and returns whether it was a signal.

    Args:
        runners: one for each source; they take turns.
        between: called after each round, and once more when all sources have ended.

    Raises:
        CorpusError: a source cannot be read.
        WriteError: a state or the alarms cannot be written; the next run repeats the last step.
    """
    try:
        with held_back_signals() as stopped:
            for runner in runners:
                runner.begin()
            while not stopped() and not all(runner.ended for runner in runners):
                steps = [runner.step() for runner in runners if not runner.ended]
                between()
                if not any(steps) and not all(runner.ended for runner in runners):
                    time.sleep(POLL)
            if not stopped():
                for runner in runners:
                    runner.finish()
            for runner in runners:
                runner.stop()
            for runner in runners:
                runner.finish_delivery()
            return stopped()
    finally:
        for runner in runners:
            runner.close()
