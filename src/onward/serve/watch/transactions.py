"""A watch whose every step is durable before it is told, for the one thread that it belongs to.

A batch is one transaction: what was read, the alarms that follow, and the answer to it. So a kill at any
moment loses no alarm and raises none twice. Where a transaction fails, the watch goes back to what the file
has.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from onward.artefact import digest_of, weights_of
from onward.errors import OnwardError, WriteError
from onward.outputs import output_lock
from onward.serve.http.errors import ApiError
from onward.serve.watch.batches import Batch, records_of
from onward.serve.watch.idempotency import IdempotencyStore
from onward.watch.datasets import parser_for
from onward.watch.detector import Detector
from onward.watch.feedback import Feedback, mark_normal
from onward.watch.input.format import InputFormat
from onward.watch.scoring.features import Verdict
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.report import watch_report
from onward.watch.stream.store import opened_store

LISTED = "GET /v1/watch/alarms tells which there are"

EXPLAINED = 1000
"""Events of a sequence that are explained at once, those around the one that surprised most."""

Alarm = dict[str, Any]


class WatchTransactions:
    """The watch.

    Args:
        path: of the detector.
        state: the file that keeps the watch.
        idle: seconds without a record after which a sequence has ended.
        rate: of false alarms; None: the detector's own.
        committed: is called with the new alarms, after they are durable.
        tell: is called with what a person should know.

    Attributes:
        detector: at work.

    Raises:
        ArtefactError: the file is no detector, or the state is that of another one.
        BusyError: another watch goes on in the state.
        WriteError: the state cannot be written.
    """

    def __init__(
        self,
        path: Path,
        state: Path,
        *,
        idle: float,
        rate: float | None,
        committed: Callable[[list[Alarm]], None],
        tell: Callable[[str], None],
    ) -> None:
        self.detector = Detector.load(path).with_rate(rate)
        self._path, self._idle, self._rate = path, idle, rate
        self._committed, self._tell = committed, tell
        self._held = ExitStack()
        self._verdicts: dict[int, Verdict] = {}
        self._log_reader = parser_for(self.detector)
        self._store = self._held.enter_context(opened_store(state))
        try:
            self._begin()
        except OnwardError:  # the state is of another model
            self._held.close()
            raise
        self._looked, self._missed = monotonic(), 0.0

    @property
    def report(self) -> dict[str, Any]:
        """What the watch has seen."""
        return watch_report(self._watcher) | {"last_alarm": self._last, "ok": self._store.fact("ok") or []}

    def alarms(self, after: int | None, count: int) -> list[Alarm]:
        """The first alarms behind that of a number, in order; None: the last ones."""
        begin = max(0, self._last - count) if after is None else after
        return [json.loads(alarm) for _, alarm in self._store.alarms_after(begin, count)]

    def feed(self, batch: Batch) -> dict[str, Any]:
        """Reads a batch. What came of it.

        Raises:
            Refusal: it cannot be read, or kept; then nothing of it was read.
        """
        known = self._replies.find(batch)
        if known is not None:
            return known | {"repeated": True}
        first = self._number + 1
        records, trouble = records_of(batch, self._source, self._reader(), first)
        self._verdicts.clear()
        with self._at_work(), self._undone_if_it_fails():
            passed = self._passed() if records else 0.0
            if all(record.time is None for record in records):  # then no record says it
                self._watcher.wait(passed)
            self._watcher.feed(records)
            if batch.end:
                self._watcher.end()
            self._watcher.counts.unparsable += trouble.count
            self._number += len(batch.items)
            alarms = self.alarms(self._last, 1 << 31)
            answer = {
                "first": first,
                "records": len(records),
                "unreadable": {
                    "count": trouble.count,
                    "examples": [{"number": number, "reason": why} for number, why in trouble.examples],
                },
                "alarms": alarms,
                "verdicts": self._told_verdicts() if batch.verdicts else None,
                "in_flight": self._watcher.in_flight,
                "repeated": False,
            }
            self._replies.keep(batch, answer)
            self._commit(alarms)
        return answer

    def wait(self) -> None:
        """Notes that nothing came since it was last at work; ends the sequences that are idle."""
        now = monotonic()
        seconds, self._looked = now - self._looked, now
        with self._undone_if_it_fails():
            before = self._watcher.counts.sequences
            alarms = self._watcher.wait(seconds)
            if alarms or self._watcher.counts.sequences > before:
                self._commit(self.alarms(self._last, 1 << 31))

    def explain(self, number: int) -> dict[str, Any]:
        """An alarm with the surprise of each event of its sequence.

        Raises:
            Refusal: there is none of that number.
        """
        alarm, events = self._flagged(number)
        scores = self.detector.score_events(events)
        ended = self._has_ended(alarm)
        scores = scores if ended else scores[:-1]
        worst = int(np.argmax([score.bits for score in scores]))
        first = max(0, min(worst - EXPLAINED // 2, len(scores) - EXPLAINED))
        return {
            "alarm": alarm,
            "ended": ended,
            "rate": self.detector.rate,
            "bits_per_event": self.detector.calibration.bits_per_event,
            "bytes": self.detector.vocabulary.is_bytes,
            "first": first,
            "of": len(scores),
            "events": [score.to_json() for score in scores[first : first + EXPLAINED]],
        }

    def mark_normal(self, number: int) -> dict[str, Any]:
        """Learns that the sequence of an alarm was normal, and replaces the detector's file. What that did.

        A sequence is learned once, however often it is asked for.

        Raises:
            Refusal: there is no such alarm, or the file is no longer the detector that is served.
            InputError: the sequence has events that the detector has no symbol for.
            WriteError: the file cannot be replaced; all is as it was.
        """
        with self._at_work():
            forgiven = self._learned(number)
            known = self._store.fact("ok") or []
            if number not in known:
                with self._undone_if_it_fails():
                    self._store.set_fact("ok", [*known[-999:], number])
                    self._commit([])
        return forgiven.to_json() | {"alarm": number}

    def close(self) -> None:
        """Keeps what is in flight, and ends."""
        try:
            with self._undone_if_it_fails():
                self._commit([])
        finally:
            self._held.close()

    def _begin(self) -> None:
        """Goes on from what the file has."""
        judged = self._verdicts.__setitem__
        self._watcher = Monitor(self.detector, self._store, idle=self._idle, tell=self._tell, judged=judged)
        self._replies = IdempotencyStore(self._store)
        self._number = self._store.fact("lines") or 0
        self._last = self._store.fact("alarms") or 0

    def _go_back(self) -> None:
        """Forgets what the file has not."""
        self._store.undo()
        self._begin()

    def _learned(self, number: int) -> Feedback:
        """Learns that the sequence of an alarm was normal, and goes on with the detector that knows it."""
        alarm, events = self._flagged(number)
        with output_lock(self._path):
            found = Detector.load(self._path)
            if digest_of(weights_of(found.model)) != digest_of(weights_of(self.detector.model)):
                message = f"{self._path.name} is no longer the detector that is served"
                raise ApiError(409, "model_changed", message, hint="start the server again")
            ended = self._has_ended(alarm)
            forgiven = mark_normal(found, events, alarm["key"], began=alarm["began"], ended=ended)
            if forgiven.repeated:
                return forgiven
            forgiven.detector.save(self._path)
        self.detector = forgiven.detector.with_rate(self._rate)
        self._go_back()
        return forgiven

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Time in which nothing can be read: what comes meanwhile waits, so it is no silence."""
        begun = monotonic()
        try:
            yield
        finally:
            now = monotonic()
            self._missed += now - begun
            self._looked += now - begun

    def _passed(self) -> float:
        """Seconds since the last records or the last `wait`, those at work among them."""
        now = monotonic()
        seconds = now - self._looked + self._missed
        self._looked, self._missed = now, 0.0
        return seconds

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """Goes back to what the file has, where something fails.

        Raises:
            Refusal: it was the disk.
        """
        try:
            yield
        except BaseException as error:
            self._go_back()
            if isinstance(error, WriteError):
                headers = {"Retry-After": "5"}
                raise ApiError(503, "cannot_write", str(error), hint=error.hint, headers=headers) from error
            raise

    def _commit(self, alarms: list[Alarm]) -> None:
        """Makes all durable, and tells of it."""
        self._last += len(alarms)
        self._store.delivered(self._last)
        self._watcher.commit(lines=self._number)
        self._committed(alarms)

    def _told_verdicts(self) -> list[dict[str, Any]]:
        return [
            {"began": began, "length": verdict.length}
            | {name: getattr(verdict, name) for name in ("key", "p_value", "flagged", "speaks")}
            for began, verdict in self._verdicts.items()
        ]

    def _flagged(self, number: int) -> tuple[Alarm, list[str]]:
        """An alarm and the events of its sequence."""
        found = self.alarms(number - 1, 1)
        if not found or found[0]["alarm"] != number:
            raise ApiError(404, "alarm_not_found", f"there is no alarm {number}", hint=LISTED)
        return found[0], self._store.flagged(found[0]["key"], found[0]["began"])

    def _has_ended(self, alarm: Alarm) -> bool:
        """Whether the sequence of an alarm has ended by now."""
        return alarm["ended"] or not self._watcher.is_open(alarm["key"], alarm["began"])

    @property
    def _source(self) -> InputFormat:
        """How the detector's own records are read."""
        reading = self.detector.source
        return InputFormat.from_json(reading["reader"]) if reading else InputFormat()

    def _reader(self) -> Any:
        """Of one batch: the columns of a CSV batch are its own; templates are the same for all."""
        return self._log_reader if self._source.form == "log" else parser_for(self.detector)
