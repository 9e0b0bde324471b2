"""From lines as they come to alarms as they are delivered, whatever is killed in between.

One transaction holds what was read and all that follows from it: the place in the source, the sequences in
flight, the counts, and the alarms, as an outbox. Alarms are delivered after it is committed, and noted as
delivered in the next, which follows at once. So after a kill

    --alarms FILE   has each alarm exactly once, as soon as the next run has begun
    standard output has each alarm at least once: a kill between delivery and note repeats the alarms of one
                    batch, with the same numbers, so that who reads them can tell
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from onward.errors import InputError
from onward.signals import held_back_signals
from onward.watch.input.parsers import RecordParser
from onward.watch.input.records import Record
from onward.watch.input.stdin import Pipe
from onward.watch.input.tail import Follower
from onward.watch.input.tailed_file import Position
from onward.watch.stream.alarms import AlarmFile
from onward.watch.stream.monitor import Monitor

POLL = 0.2
"""Seconds between two looks for new lines."""

Deliver = Callable[[str], None]
"""Takes an alarm as a line of JSON."""


@runtime_checkable
class LineSource(Protocol):
    """Where lines come from: `Follower` or `Pipe`."""

    ended: bool

    @property
    def position(self) -> Position | None:
        """Where the reading stands."""
        ...

    @property
    def cut(self) -> int:
        """Lines that were too long."""
        ...

    def read(self) -> list[bytes]:
        """The next lines, if there are any now."""
        ...

    def finish(self) -> list[bytes]:
        """The last line, if it has no end."""
        ...

    def close(self) -> None:
        """Ends the reading."""
        ...


class Runner:
    """Watches lines until they end, or a signal says so.

    Args:
        watcher: of their records.
        reader: of the lines.
        source: a file, or - for standard input.
        deliver: takes the alarms, in order.
        follow: whether to wait for more lines at the end of the file.
        end: whether the sequences in flight end with the lines; by default if nothing keeps them.
        alarm_file: where alarms are to stand exactly once.
        tell: is called with what a person should know.

    Attributes:
        flagged: alarms that this run has delivered.

    Raises:
        CorpusError: the file is not there and not to be waited for.
        WriteError: the file of alarms cannot be written.
    """

    def __init__(  # noqa: PLR0913 - what `onward watch run` lets one say
        self,
        watcher: Monitor,
        reader: RecordParser,
        source: str,
        deliver: Deliver,
        *,
        follow: bool = False,
        end: bool | None = None,
        alarm_file: Path | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._watcher, self._reader, self._store = watcher, reader, watcher.store
        self._deliver = deliver
        self._end = not self._store.is_kept if end is None else end
        self._number = self._store.fact("lines") or 0
        self._unparsable = watcher.counts.unparsable
        self._go_on_in_the_midst()
        self._lines = self._opened(source, follow, tell)
        length = self._store.fact("alarms_length")
        self._file = AlarmFile(alarm_file, length) if alarm_file else None
        self.flagged = 0

    @property
    def cut(self) -> int:
        """Lines that were too long, in this run."""
        return self._lines.cut

    def run(self) -> bool:
        """Watches until the lines end. Whether it was a signal that ended it.

        Raises:
            WriteError: the state or the alarms could not be written; the next run goes on before that.
        """
        try:
            with held_back_signals() as stopped:
                self._committed()  # the place, before anything is read there
                all_read_at: float | None = None
                while not stopped():
                    lines = self._lines.read()
                    if lines:
                        self._take(lines)
                    elif self._lines.ended:
                        break
                    else:
                        all_read_at = self._waited(all_read_at)
                if not stopped():
                    self._finish()
                return stopped()
        finally:
            self._lines.close()
            if self._file:
                self._file.close()

    def _take(self, lines: Sequence[bytes]) -> None:
        """Reads lines, and watches what they say."""
        records: list[Record] = []
        for raw in lines:
            self._number += 1
            records += self._reader.read(raw, self._number)
        self._fed(records)

    def _fed(self, records: Sequence[Record]) -> None:
        """Watches records, and delivers the alarms that they give."""
        self._watcher.counts.unparsable = self._unparsable + self._reader.trouble.count
        self._watcher.feed(records)
        self._committed()

    def _waited(self, all_read_at: float | None) -> float:
        """Lets some time pass, which sequences that are silent age by. When that was."""
        now = time.monotonic()
        if all_read_at is not None and self._watcher.wait(now - all_read_at):
            self._committed()
        time.sleep(POLL)
        return now

    def _finish(self) -> None:
        """The lines have ended."""
        if self._end:
            if rest := self._lines.finish():
                self._take(rest)
            self._fed(self._reader.finish())
            self._watcher.end()
        self._committed()

    def _committed(self) -> None:
        """Commits what was read and what follows from it, then delivers it."""
        position = self._lines.position
        facts: dict[str, Any] = {"lines": self._number}
        if position:
            facts["position"] = position.to_json()
        if memory := self._reader.memory:
            facts["reader"] = memory
        self._watcher.commit(**facts)
        self._sent()

    def _sent(self) -> None:
        """Delivers what is in the outbox, and notes that."""
        alarms = self._store.outbox()
        if alarms or (self._file and self._file.length != self._store.fact("alarms_length")):
            lines = [alarm for _, alarm in alarms]
            if self._file:
                self._file.write(lines)
                self._store.set_fact("alarms_length", self._file.length)
            for line in lines:
                self._deliver(line)
            self.flagged += len(lines)
            if alarms:
                self._store.delivered(alarms[-1][0])
            self._store.commit()

    def _opened(self, source: str, follow: bool, tell: Callable[[str], None]) -> LineSource:
        """The lines of a source, from where the store says that the reading stood."""
        if source == "-":
            if follow:
                raise InputError("standard input ends by itself", hint="leave out --follow")
            return Pipe()
        path = Path(source)
        if not follow and not path.is_file():
            raise InputError(f"expected a file, got {path}", hint="--follow waits until it is there")
        position = self._store.fact("position")
        return Follower(path, Position.from_json(position) if position else None, tell, grows=follow)

    def _go_on_in_the_midst(self) -> None:
        """Tells the reader what it knew when the reading ended."""
        if header := self._store.fact("header"):  # of a state that is older than `memory`
            self._reader.read(header.encode(), 0)
        self._reader.restore(self._store.fact("reader"))
