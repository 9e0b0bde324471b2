"""The monitor: takes the records of a stream, and returns alarms.

EventClock        decides what time it is, even if some times of records are wrong
ActiveSequences   holds the open sequences
SequenceTracker   scores them, and finds candidates for alarms
RateControl       decides which candidates may open an incident
IncidentGrouping  groups alarms into incidents
OnlineLearning    has the detector learn what is not unusual
Drift             tests whether the stream still resembles the training data
WatchStore        makes all of this durable in one transaction
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from pydantic import model_validator

from onward.artefact import digest_of, weights_of
from onward.errors import ArtefactError, InputError
from onward.stored import Count, StoredModel, checked, whole_number
from onward.watch.detector import Detector
from onward.watch.input.pauses import idle_seconds
from onward.watch.input.records import Record
from onward.watch.scoring.features import Verdict
from onward.watch.stream.active_sequences import IN_MEMORY, ActiveSequences
from onward.watch.stream.alarm_budget import AlarmBudget
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.drift import Drift
from onward.watch.stream.event_clock import EventClock, Timed
from onward.watch.stream.findings import Candidate, EndedSequence, Findings
from onward.watch.stream.grouping import IncidentGrouping
from onward.watch.stream.learning import OnlineLearning
from onward.watch.stream.rate_control import RateControl
from onward.watch.stream.store import WatchStore
from onward.watch.stream.tracker import SequenceTracker

QUIET = 3600.0
"""Seconds without an alarm after which an incident is closed, by default."""


@dataclass
class MonitorCounts:
    """Counts since the watch began.

    Attributes:
        records: records read.
        sequences: sequences that ended.
        flagged: flagged sequences, ended or open.
        flagged_ended: flagged sequences that ended.
        incidents: incidents that were opened.
        suppressed: sequences that ended and that the detector flags, but that rate control did not report.
        unparsable: lines that could not be parsed.
    """

    records: int = 0
    sequences: int = 0
    flagged: int = 0
    flagged_ended: int = 0
    incidents: int = 0
    suppressed: int = 0
    unparsable: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "MonitorCounts":
        """Returns the counts that `to_json` returned.

        Raises:
            ValueError: the data does not hold such counts.
        """
        return cls(**_StoredCounts.model_validate(data).model_dump())


class _StoredCounts(StoredModel):
    records: Count
    sequences: Count
    flagged: Count
    flagged_ended: Count
    incidents: Count
    suppressed: Count
    unparsable: Count

    @model_validator(mode="after")
    def _check_flagged(self) -> "_StoredCounts":
        if self.flagged_ended + self.suppressed > self.sequences:
            found = f"{self.flagged_ended} and {self.suppressed} of {self.sequences} sequences"
            raise ValueError(f"expected at most as many flagged or suppressed as ended ones, found {found}")
        return self


class Monitor:
    """Monitors the sequences of a stream of records.

    The store holds its whole state as of the last `commit`; another monitor continues from there.

    Args:
        detector: scores the sequences.
        store: holds the open sequences and the alarms; a temporary one by default.
        idle: seconds without a record after which a sequence ends, and without an alarm after which an
            incident is closed. None: a sequence ends after twice the longest pause in training (see
            `onward.watch.input.pauses`), an incident is closed after one hour.
        budget: how many incidents may open, in place of the false-alarm rate of the detector. The threshold
            of this rate remains the lowest one.
        partitions: number of monitors, one for each partition of a topic, that share the budget and the bound
            of the test for drift.
        learns: whether the detector learns from the sequences that it does not flag.
        in_memory: open sequences to hold in memory.
        ends_at_once: idle sequences that end in one call, the longest idle first; the others end in the next
            calls. None: all end at once.
        notify: called once with a message about drift, about wrong clocks, and about suppressed sequences.
        on_verdict: called for each sequence that ended, with the number of its first record and its verdict.

    Raises:
        ArtefactError: the store was written with another detector.
        InputError: there is a budget, but the detector uses DeepLog's rule, which has no score.

    Attributes:
        detector: as given.
        store: as given.
        counts: the counts since the watch began.
        drift: the test for drift.
        budget: the share of this monitor.
        has_idle: whether the last call left idle sequences open, see `ends_at_once`.
    """

    def __init__(  # noqa: PLR0913 - keyword arguments, which have defaults
        self,
        detector: Detector,
        store: WatchStore | None = None,
        *,
        idle: float | None = None,
        budget: AlarmBudget | None = None,
        partitions: int = 1,
        learns: bool = True,
        in_memory: int = IN_MEMORY,
        ends_at_once: int | None = None,
        notify: Callable[[str], None] = lambda _: None,
        on_verdict: Callable[[int, Verdict], None] = lambda *_: None,
    ) -> None:
        self.detector = detector
        self.store = store or WatchStore()
        _check_model(detector, self.store)
        if budget and detector.top_k:
            raise InputError(
                f"a budget of {budget} needs a detector with a false-alarm rate; this one flags by its "
                f"{detector.top_k} most likely events (--top-k) and has no score",
                hint="leave out the budget, or give a rate with --false-alarms",
            )
        self.counts = self.store.fact("counts", MonitorCounts.from_json) or MonitorCounts()
        drift = partial(Drift.of, detector, partitions=partitions)
        self.drift = self.store.fact("drift", drift) or drift()
        self.budget = budget and budget.shared(partitions)
        self.has_idle = False
        self._notify, self._on_verdict, self._ends_at_once = notify, on_verdict, ends_at_once
        ends_after = idle_seconds(detector.source) if idle is None else idle
        quiet = QUIET if idle is None else idle
        self._clock = EventClock(quiet, notify, check_after=ends_after / 16)
        self.store.fact("clock", self._clock.restore)
        self._sequences = ActiveSequences(self.store, detector, in_memory)
        self._tracker = SequenceTracker(detector, self._sequences, ends_after)
        self._learning = OnlineLearning(detector, self.store) if learns else None
        if self._learning:
            self._tracker.use(self._learning.detector)
        self._incidents = IncidentGrouping(self.store, quiet)
        self._control = None if detector.top_k else self._restored_control()
        self._alarms = self.store.fact("alarms", whole_number) or 0  # number of the last one

    @property
    def in_flight(self) -> int:
        """Number of open sequences."""
        return len(self._sequences)

    @property
    def odd_times(self) -> int:
        """Number of records whose time was far from that of their neighbours."""
        return self._clock.odd

    def is_open(self, key: str, began: int) -> bool:
        """Whether the sequence of a key that began with a record of this number has not ended."""
        return any(sequence.number == began for sequence in self._sequences.get([key]).values())

    def feed(self, records: Sequence[Record], *, unparsable: int = 0) -> list[Alarm]:
        """Reads records, in order for each key, and returns the alarms that they raise.

        A few records whose times are in doubt are only read with later ones (see `EventClock`).

        Args:
            records: the next records.
            unparsable: lines among them that could not be parsed, for the counts.

        Raises:
            InputError: there is a budget, but no record so far has a time.
        """
        timed = [known for record in records for known in self._clock.take(record)]
        if self.budget and records and not self._clock.has_times:
            raise InputError(
                f"a budget of {self.budget} needs records with times; no record up to line "
                f"{records[-1].number:,} has one",
                hint="learn the detector with a column of times (--time), or leave out the budget and use "
                "--false-alarms",
            )
        self.counts.records += len(records)
        self.counts.unparsable += unparsable
        return self._read(timed)

    def wait(self, seconds: float) -> list[Alarm]:
        """Notes seconds without a record, and returns the alarms of the sequences that end because of it."""
        return self._read(self._clock.wait(seconds))

    def end(self) -> list[Alarm]:
        """Ends all open sequences, and returns their alarms."""
        alarms, found = self._read(self._clock.release()), Findings()
        self._tracker.end_idle(self._clock.elapsed, found)
        alarms += self._register(found)
        found = Findings()
        self._tracker.end_all(found)
        return alarms + self._register(found)

    def close_incidents(self) -> None:
        """Closes all incidents, at the end of the source. The notices are in the outbox of the store."""
        self._incidents.close_all()

    def commit(self, **facts: Any) -> None:
        """Makes the state durable, together with further facts such as the position in the source.

        Raises:
            WriteError: the store cannot be written, and is unchanged.
        """
        if self.store.is_kept:
            self._sequences.save()
            if self._learning:
                self._learning.save()
            facts |= {
                "counts": self.counts.to_json(),
                "clock": self._clock.to_json(),
                "drift": self.drift.to_json(),
                "alarms": self._alarms,
            }
            if self._control:
                facts["control"] = self._control.to_json()
            for name, value in facts.items():
                self.store.set_fact(name, value)
        self.store.commit()

    def newly_open(self, records: Sequence[Record]) -> int:
        """Returns how many of the sequences that are open after these records are not open now."""
        ends = {record.key: record.last for record in records}
        return sum(not is_last and key not in self._sequences for key, is_last in ends.items())

    def _restored_control(self) -> RateControl:
        """Returns the rate control as of the last commit."""
        begun = RateControl.of(self.detector, self.budget)
        return self.store.fact("control", begun.restored) or begun

    def _read(self, timed: Sequence[Timed]) -> list[Alarm]:
        """Reads records, and learns where it is due."""
        alarms, rest = list[Alarm](), timed
        while self._learning and len(rest) >= (until := self._learning.records_until_learning):
            part, rest = rest[:until], rest[until:]
            found = Findings()
            self._tracker.read(part, found)
            # Whether the idle sequences have ended must not depend on how the records were divided.
            self._tracker.end_idle(part[-1][1], found)
            alarms += self._register(found)
            self._learning.read(len(part))
            self._tracker.use(self._learning.detector)
        found = Findings()
        self._tracker.read(rest, found)
        if self._learning:
            self._learning.read(len(rest))
        return alarms + self._settle(found)

    def _settle(self, found: Findings) -> list[Alarm]:
        if self._clock.is_check_due() or self.has_idle or found.has_candidates:
            ended = self._tracker.end_idle(self._clock.elapsed, found, self._ends_at_once)
            self.has_idle = ended == self._ends_at_once
            alarms = self._register(found)
            if not self.has_idle:  # all alarms up to now have been raised
                self._incidents.close_quiet(self._clock.elapsed)
            return alarms
        return self._register(found)

    def _register(self, found: Findings) -> list[Alarm]:
        """Decides on the candidates, counts the findings, tests for drift, and returns the alarms."""
        alarms = list[Alarm]()
        flagged = set[tuple[str, int]]()  # sequences with an alarm in this call
        for each in found.in_order():
            candidate = each if isinstance(each, Candidate) else each.candidate
            if candidate and candidate.id not in flagged and (alarm := self._reported(candidate)):
                alarms.append(alarm)
                flagged.add(candidate.id)
            if isinstance(each, EndedSequence):
                self._count_ended(each, is_flagged=each.sequence.alarmed or each.id in flagged)
        for ended in found.ended:
            self._on_verdict(ended.sequence.number, ended.verdict)
        if found.ended and self.counts.sequences > self.in_flight:  # at first only short sequences have ended
            self._test_drift(found)
        return alarms

    def _reported(self, candidate: Candidate) -> Alarm | None:
        """Returns the alarm of a candidate, and puts it into the outbox; None if it is suppressed."""
        control, place = self._control, candidate.place
        progress = self._progress(place.seconds)
        alarm = self._incidents.add(
            replace(candidate.alarm, number=self._alarms + 1),
            candidate.causes,
            place.seconds,
            self.counts.incidents + 1,
            may_open=control is None or control.allows(candidate.score, progress),
        )
        if alarm is None:
            return None
        self._alarms += 1
        self.counts.flagged += 1
        self._sequences.flag_open(*candidate.id, candidate.length)
        if alarm.is_news:
            self.counts.incidents += 1
            self._control = control and control.after_incident(candidate.score, progress)
        return alarm

    def _count_ended(self, ended: EndedSequence, *, is_flagged: bool) -> None:
        self.counts.sequences += 1
        if is_flagged:
            self.counts.flagged_ended += 1
            self._sequences.flag(ended.sequence)  # again, with the events since the alarm
            return
        if ended.candidate:
            self.counts.suppressed += 1
            self._tell_of_suppression(self._progress(ended.place.seconds))
        elif self._learning:
            self._learning.add(ended.sequence.events)

    def _tell_of_suppression(self, progress: float) -> None:
        """Notifies the user once if the threshold is strongly raised."""
        control = self._control
        if control is None or control.told or not control.is_strongly_raised(progress):
            return
        self._control = replace(control, told=True)
        asked = f"budget of {self.budget}" if self.budget else f"false-alarm rate of {self.detector.rate:g}"
        self._notify(
            f"rate control: the detector flags more sequences than the {asked} allows. Only those with the "
            f"highest scores open incidents; {self.counts.suppressed:,} were suppressed so far. Either there "
            "are many anomalies, or the stream no longer resembles the training data. Check some alarms; if "
            "they are normal, learn a new detector from recent data"
        )

    def _progress(self, seconds: float) -> float:
        """Returns the progress by which the control lowers the threshold again."""
        return seconds if self.budget else float(self.counts.sequences)

    def _test_drift(self, found: Findings) -> None:
        """Tests sequences in the order of their last records: in parallel, short ones end first."""
        observed = sorted((ended.sequence.last_number, ended.verdict.p_value) for ended in found.ended)
        for _, p_value in observed:
            if message := self.drift.observe(p_value):
                self._notify(message)


def _check_model(detector: Detector, store: WatchStore) -> None:
    """Refuses the store of another model; otherwise stores the digest."""
    digest, known = digest_of(weights_of(detector.model)), store.fact("model", partial(checked, str))
    if known is None:
        store.set_fact("model", digest)
    elif known != digest:
        raise ArtefactError(
            f"{store.path} was written with another detector (model {known[:12]}, this one is {digest[:12]})",
            hint="give that detector, or another file with --state",
        )
