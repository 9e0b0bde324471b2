"""A watch of one source, put together from its parts. A topic has one for each partition."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onward.cli.output import emit, emit_json, say
from onward.watch.datasets import parser_for
from onward.watch.detector import Detector
from onward.watch.input.records import UnreadableLines
from onward.watch.notify.targets import Targets
from onward.watch.stream.alarm_budget import AlarmBudget
from onward.watch.stream.delivery import AlarmDelivery, NoticeSink
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.notifications import Notifications
from onward.watch.stream.report import report_lines, run_report
from onward.watch.stream.runner import LineSource, Runner
from onward.watch.stream.store import Notice, WatchStore, opened_store

OpenLines = Callable[[WatchStore], LineSource]
"""Opens a source at the position in a store."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """The options that all watches of a command share.

    Attributes:
        detector: scores the sequences.
        name: name of the detector, for the targets.
        idle, budget, learns, in_memory: see `Monitor`.
        end: see `Runner`.
        targets: where notices are sent.
        sink: see `AlarmDelivery`.
        json: whether to print JSON.
    """

    detector: Detector
    name: str
    idle: float | None
    budget: AlarmBudget | None
    learns: bool
    in_memory: int
    end: bool | None
    targets: Targets
    sink: NoticeSink | None
    json: bool


class SourceWatch:
    """A watch of one source.

    Args:
        options: the options of the command.
        open_lines: opens the source.
        stack: closes the store at its end; the runner closes everything else.
        state: the file of the store; None: a temporary one.
        alarms: the file that alarms are appended to; None: no file.
        partition: the partition that is watched, of `partitions`; None: the source has none.

    Attributes:
        store: the store.
        runner: reads the source.
        unreadable: the lines that could not be parsed.
    """

    def __init__(
        self,
        options: WatchOptions,
        open_lines: OpenLines,
        stack: ExitStack,
        *,
        state: Path | None,
        alarms: Path | None,
        partition: int | None = None,
        partitions: int = 1,
    ) -> None:
        self._options, self._partition = options, partition
        self.store = stack.enter_context(opened_store(state, partition))
        self._monitor = Monitor(
            options.detector,
            self.store,
            idle=options.idle,
            budget=options.budget,
            partitions=partitions,
            learns=options.learns,
            in_memory=options.in_memory,
            notify=self._notify,
        )
        self._read_before = self._monitor.counts.records
        parser = parser_for(options.detector)
        self.unreadable: UnreadableLines = parser.unreadable
        lines = open_lines(self.store)
        notifiers = options.targets.notifiers(options.name)
        self._notifications = Notifications(self.store, notifiers, self._notify)
        deliver = partial(_print, json=options.json)
        delivery = AlarmDelivery(self.store, deliver, alarms, self._notifications, options.sink)
        self.runner = Runner(self._monitor, parser, lines, delivery, end=options.end, notify=self._notify)

    @property
    def has_read(self) -> bool:
        """Whether this run has read a record."""
        return self._monitor.counts.records > self._read_before

    def report(self) -> None:
        """Prints the summary."""
        report = run_report(self._monitor, self.runner) | {"targets": self._notifications.to_json()}
        if self._options.json:
            place = {} if self._partition is None else {"partition": self._partition}
            emit_json({"summary": report | place})
        for line in [*report_lines(report, self.unreadable), *self._notifications.lines()]:
            say(self._prefix + line)

    @property
    def _prefix(self) -> str:
        return "" if self._partition is None else f"partition {self._partition}: "

    def _notify(self, message: str) -> None:
        say(self._prefix + message, style="yellow")


def _print(notice: Notice, *, json: bool) -> None:
    """Prints an alarm or a closed incident; for people only if it tells them something new."""
    if json:
        emit(notice.encode())
    elif notice.is_news:
        emit(notice.as_line())
