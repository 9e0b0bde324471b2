"""Transactions on the durable state of a detector: each is on the disk before its result is reported.

A batch is one transaction: its records, the alarms that they raise, and the response to its client. So if the
process is killed, no alarm is lost and none is raised twice. If a transaction fails, the detector returns to
the state in the store.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any

from onward.errors import WriteError
from onward.serve.http.errors import ApiError
from onward.serve.watch.activity import Activity
from onward.serve.watch.batches import Batch, records_of
from onward.serve.watch.detector_file import DetectorFile
from onward.serve.watch.explanation import explain_alarm
from onward.serve.watch.idempotency import IdempotencyStore
from onward.serve.watch.settings import WatchSettings
from onward.serve.watch.silence import SilenceTimer
from onward.stored import Count, checked, whole_number
from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.features import Verdict
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.notifications import Notifications
from onward.watch.stream.notifier import Notifier
from onward.watch.stream.report import watch_report
from onward.watch.stream.store import WatchStore, opened_store

ENDS_AT_ONCE = 1024
"""Idle sequences that end in one transaction, in about 0.1 seconds. Then the batches that wait are read."""

LISTED = "GET /v1/watch/alarms lists the alarms"

_MAX_MARKED = 1000

_ACTIVITY_SECONDS = 5.0
"""Seconds between two commits that store the activity. A kill loses the counts in between."""


@dataclass(frozen=True)
class Commit:
    """The durable result of a transaction.

    Attributes:
        alarms: the alarms that it raised.
        report: the report of the detector.
    """

    alarms: list[Alarm]
    report: dict[str, Any]


class _WatchState:
    """The state in memory as of the last commit. After a rollback it is created again from the store."""

    def __init__(
        self,
        detector: Detector,
        store: WatchStore,
        settings: WatchSettings,
        warn: Callable[[str], None],
    ) -> None:
        self.verdicts: dict[
            int, Verdict
        ] = {}  # verdicts on the sequences that ended in this batch, by their first item
        self.monitor = Monitor(
            detector,
            store,
            idle=settings.idle,
            budget=settings.budget,
            learns=settings.learns,
            ends_at_once=ENDS_AT_ONCE,
            notify=warn,
            on_verdict=self.verdicts.__setitem__,
        )
        self.responses = IdempotencyStore(store)
        self.items: int = store.fact("lines", whole_number) or 0
        self.last_alarm: int = store.fact("alarms", whole_number) or 0


class WatchTransactions:
    """A detector with durable state. It belongs to the thread that creates it.

    Args:
        path: path of the detector.
        state: the file of the state.
        settings: how it watches.
        open_sequences: the largest number of open sequences.
        warn: called with messages for the operator, on any thread.
        notifiers: send the notices to targets.
        clock: measures the time without records, in seconds.

    Raises:
        ArtefactError: the file is not a detector, or the state belongs to another one.
        BusyError: another process uses the state.
        WriteError: the state cannot be written.
    """

    def __init__(
        self,
        path: Path,
        state: Path,
        settings: WatchSettings,
        *,
        open_sequences: int,
        warn: Callable[[str], None],
        notifiers: Sequence[Notifier] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._file = DetectorFile(path, settings.rate)
        self._settings, self._open_sequences, self._warn = settings, open_sequences, warn
        self._timer = SilenceTimer(clock)
        with ExitStack() as stack:
            self._store = stack.enter_context(opened_store(state))
            self._state = self._restored()
            self._activity = self._store.fact("activity", Activity.from_stored) or Activity()
            self._activity_stored = monotonic()
            self._notifications = Notifications(self._store, notifiers, warn)
            stack.callback(self._notifications.close)
            self._resources = stack.pop_all()

    @property
    def detector(self) -> Detector:
        return self._file.detector

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The counts of the targets, which any thread may read."""
        return self._notifications.to_json()

    @property
    def report(self) -> dict[str, Any]:
        """The report of the detector."""
        return watch_report(self._state.monitor) | {"last_alarm": self._state.last_alarm, "ok": self._marked}

    @property
    def activity(self) -> dict[str, Any]:
        """The timeline and the events, see `Activity.to_json`."""
        return self._activity.to_json()

    def alarms(self, after: int | None, count: int) -> list[Alarm]:
        """Returns the first alarms after a number, in order; for None, the last alarms."""
        begin = max(0, self._state.last_alarm - count) if after is None else after
        return self._store.alarms_after(begin, count)

    def incidents(self, after: int | None, count: int) -> dict[str, Any]:
        """Returns the first incidents after a number, in order; for None, the last incidents.

        Each has the alarm that opened it. `last` is the number of the last incident, and `last_alarm` that of
        the last alarm.
        """
        store = self._store
        found = store.last_incidents(count) if after is None else store.incidents_after(after, count)
        return {
            "data": [
                incident.to_json() | {"opening": alarm.to_json()}
                for incident in found
                for alarm in self.alarms(incident.alarm - 1, 1)
            ],
            "last": self._state.monitor.counts.incidents,
            "last_alarm": self._state.last_alarm,
        }

    def feed(self, batch: Batch) -> tuple[dict[str, Any], Commit | None]:
        """Reads a batch. Returns the response and the commit; there is no commit if the batch is repeated.

        Raises:
            ApiError: the batch cannot be read, or not be committed, or too many sequences would be open; then
                nothing of it was read.
        """
        known = self._state.responses.find(batch)
        if known is not None:
            return known | {"repeated": True}, None
        state, first = self._state, self._state.items + 1
        records, unreadable = records_of(batch, self._file.input_format, self._file.batch_parser(), first)
        if not batch.end:
            self._check_open_sequences(records, batch.kind)
        with self._timer.busy(), self._transaction():
            passed = self._timer.until_records() if records else 0.0
            alarms: list[Alarm] = []
            if all(record.time is None for record in records):  # otherwise the times of the records count
                alarms += state.monitor.wait(passed)
            alarms += state.monitor.feed(records, unparsable=unreadable.count)
            if batch.end:
                alarms += state.monitor.end()
            state.items += len(batch.items)
            response = {
                "first": first,
                "records": len(records),
                "unreadable": {
                    "count": unreadable.count,
                    "examples": [{"number": n, "reason": reason} for n, reason in unreadable.examples],
                },
                "alarms": [alarm.to_json() for alarm in alarms],
                "verdicts": self._verdicts_json() if batch.verdicts else None,
                "in_flight": state.monitor.in_flight,
                "repeated": False,
            }
            state.responses.keep(batch, response)
            return response, self._commit(alarms, records)

    def end_idle(self) -> tuple[bool, Commit | None]:
        """Ends sequences that have been idle too long, at most `ENDS_AT_ONCE`, and closes quiet incidents.

        Returns:
            Whether there may be more, and the commit, if there is one.
        """
        seconds, monitor = self._timer.silence(), self._state.monitor
        with self._transaction():
            before = monitor.counts.sequences
            alarms = monitor.wait(seconds)
            is_due = self._store.has_notices() or self._notifications.has_progress
            if alarms or monitor.counts.sequences > before or is_due:
                return monitor.has_idle, self._commit(alarms)
        return False, None

    def explain(self, number: int) -> dict[str, Any]:
        """Explains an alarm by the surprise of each event of its sequence.

        Raises:
            ApiError: 404, there is no such alarm.
        """
        alarm, events = self._alarm(number)
        return explain_alarm(self.detector, alarm, events, ended=self._has_ended(alarm))

    def mark_normal(self, number: int) -> tuple[dict[str, Any], Commit]:
        """Marks the sequence of an alarm as normal: the detector learns it, and its file is replaced.

        The detector learns a sequence once. Marking it again changes nothing.

        Returns:
            The effect on the detector, and the new report.

        Raises:
            ApiError: 404, there is no such alarm; 409, the file holds another detector.
            WriteError: the file cannot be replaced; the detector is unchanged.
        """
        alarm, events = self._alarm(number)
        with self._timer.busy():
            feedback = self._file.mark_normal(alarm, events, ended=self._has_ended(alarm))
            if not feedback.repeated:
                self._roll_back()  # continues with the new detector
            marked = self._marked
            if number not in marked:
                with self._transaction():
                    self._store.set_fact("ok", [*marked[1 - _MAX_MARKED :], number])
                    self._commit([])
        return feedback.to_json() | {"alarm": number}, Commit([], self.report)

    def close(self) -> None:
        """Saves the open sequences, waits some seconds for deliveries, and closes the store."""
        with self._resources, self._transaction():
            self._store_activity()
            self._commit([])
            self._notifications.finish()

    @property
    def _marked(self) -> list[int]:
        """The numbers of the alarms that were marked as normal."""
        return self._store.fact("ok", partial(checked, list[Count])) or []

    def _check_open_sequences(self, records: Sequence[Record], kind: str) -> None:
        """Refuses records if too many sequences would be open after them.

        Records of sequences that are already open are always read.
        """
        begun, open_ = self._state.monitor.newly_open(records), self._state.monitor.in_flight
        if begun and open_ + begun > self._open_sequences:
            message = (
                f"expected at most {self._open_sequences:,} open sequences, got {begun:,} new ones, while "
                f"{open_:,} are open"
            )
            hint = "end sequences with `last`, or start the server with another --idle or --open-sequences"
            headers = {"Retry-After": "5"}
            raise ApiError(429, "too_many_open", message, param=kind, hint=hint, headers=headers)

    def _restored(self) -> _WatchState:
        return _WatchState(self.detector, self._store, self._settings, self._warn)

    def _roll_back(self) -> None:
        """Restores the state of the last commit from the store."""
        self._store.undo()
        self._state = self._restored()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Rolls back if the block fails.

        Raises:
            ApiError: 503, the state cannot be written.
        """
        try:
            yield
        except BaseException as error:
            self._roll_back()
            if isinstance(error, WriteError):
                headers = {"Retry-After": "5"}
                raise ApiError(503, "cannot_write", str(error), hint=error.hint, headers=headers) from error
            raise

    def _commit(self, alarms: list[Alarm], records: Sequence[Record] = ()) -> Commit:
        """Makes everything durable."""
        if monotonic() > self._activity_stored + _ACTIVITY_SECONDS:
            self._store_activity()
        self._state.last_alarm += len(alarms)
        self._store.delivered()
        self._notifications.save()
        self._state.monitor.commit(lines=self._state.items)
        self._notifications.take()
        verdicts = self._state.verdicts
        self._activity.note(time(), records, verdicts.values(), alarms, self.detector.vocabulary)
        verdicts.clear()
        return Commit(alarms, self.report)

    def _store_activity(self) -> None:
        self._store.set_fact("activity", self._activity.to_stored())
        self._activity_stored = monotonic()

    def _verdicts_json(self) -> list[dict[str, Any]]:
        return [
            {
                "began": began,
                "length": verdict.length,
                "key": verdict.key,
                "p_value": verdict.p_value,
                "flagged": verdict.flagged,
                "speaks": verdict.main_feature,
            }
            for began, verdict in self._state.verdicts.items()
        ]

    def _alarm(self, number: int) -> tuple[Alarm, list[str]]:
        """Returns an alarm and the events of its sequence."""
        found = self.alarms(number - 1, 1)
        if not found or found[0].number != number:
            raise ApiError(404, "alarm_not_found", f"there is no alarm {number}", hint=LISTED)
        return found[0], self._store.flagged(found[0].key, found[0].began)

    def _has_ended(self, alarm: Alarm) -> bool:
        """Whether the sequence of an alarm has ended by now."""
        return alarm.ended or not self._state.monitor.is_open(alarm.key, alarm.began)
