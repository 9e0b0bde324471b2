"""Records in, alarms out: keys interleave, sequences fall silent, the process is killed at any moment.

A sequence is flagged at its end, by its p-value. Some of what the p-value is made of only grows as a sequence
goes on: its largest surprise, its burst, its new events, its highest rank. Where these alone already suffice,
the alarm is raised at that event: nothing that can follow would take it back, so the sequences that are
flagged, and the rate of false alarms, are the same as if all had been judged at their ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from onward.artefact import digest_of, weights_of
from onward.errors import ArtefactError
from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.features import EventScore, Verdict
from onward.watch.stream.active_sequences import IN_MEMORY, ActiveSequence, ActiveSequences
from onward.watch.stream.alarms import Alarm, at_the_end, encoded
from onward.watch.stream.drift import Drift
from onward.watch.stream.event_clock import EventClock, Timed
from onward.watch.stream.store import WatchStore

IDLE = 3600.0
"""Seconds without a record after which a sequence has ended."""

LANES = 1024
"""Sequences that one step of the model moves on."""


class Monitor:
    """Watches the sequences of a stream of records.

    Everything it knows is in the store as of the last `commit`, so another one goes on from there.

    Args:
        detector: judges.
        store: of the sequences in flight and of the alarms; by default a temporary one.
        idle: seconds without a record after which a sequence has ended.
        in_memory: sequences that are held in memory.
        tell: is called once with what a person should know: drift, and clocks that are wrong.
        judged: is called with the number of the first record of each sequence that ended, and its verdict.

    Raises:
        ArtefactError: the store belongs to a watch with another model.

    Attributes:
        counts: since the watch began.
        drift: of what is watched.
    """

    def __init__(
        self,
        detector: Detector,
        store: WatchStore | None = None,
        *,
        idle: float = IDLE,
        in_memory: int = IN_MEMORY,
        tell: Callable[[str], None] = lambda _: None,
        judged: Callable[[int, Verdict], None] = lambda *_: None,
    ) -> None:
        self.detector = detector
        self.store = store or WatchStore()
        self.counts = MonitorCounts(**(self.store.fact("counts") or {}))
        self.drift = Drift.of(detector, self.store.fact("drift"))
        self._tell, self._judged, self._idle = tell, judged, idle
        self._clock = EventClock(idle)
        if clock := self.store.fact("clock"):
            self._clock.restore(clock)
        self._check_model()
        self._in_flight = ActiveSequences(self.store, detector.open, in_memory)
        self._ended: list[tuple[int, float]] = []  # numbers of last records, p-values
        self._number = self.store.fact("alarms") or 0
        self._checked = self._clock.now  # when idle sequences were last looked for
        self._told_odd = self._clock.odd > 0

    @property
    def in_flight(self) -> int:
        """Sequences that have not ended."""
        return len(self._in_flight)

    def is_open(self, key: str, began: int) -> bool:
        """Whether the sequence of a key that began with a record of that number has not ended."""
        return any(flight.number == began for flight in self._in_flight.get([key]).values())

    @property
    def odd_times(self) -> int:
        """Records whose times were far from those of the others."""
        return self._clock.odd

    def feed(self, records: Sequence[Record]) -> list[Alarm]:
        """Reads records, in their order for each key, and returns the alarms that they give.

        A few whose times cannot be believed yet are read with those that come next (see `EventClock`).
        Records of different keys are read side by side; that changes no result but for rounding.
        """
        clocked: list[Timed] = []
        for record in records:
            clocked += self._clock.take(record)
            self._mind_the_clock(record)
        self.counts.records += len(records)
        return self._kept(self._read(clocked) + self._expired())

    def wait(self, seconds: float) -> list[Alarm]:
        """Notes that all was read and nothing came for so many seconds; ends the sequences that are idle."""
        alarms = self._read(self._clock.wait(seconds))
        return self._kept(alarms + self._expired())

    def end(self) -> list[Alarm]:
        """Ends all sequences in flight."""
        alarms = self._read(self._clock.release())
        return self._kept(alarms + self._end(self._in_flight.idle(float("inf"))))

    def commit(self, **facts: Any) -> None:
        """Makes all of it durable at once, with further facts: where the source stands, for example.

        Raises:
            WriteError: the disk refused; the store is as it was.
        """
        if not self.store.is_kept:
            self.store.commit()
            return
        self._in_flight.save()
        facts |= {
            "counts": self.counts.to_json(),
            "clock": self._clock.to_json(),
            "drift": self.drift.to_json(),
            "alarms": self._number,
        }
        for name, value in facts.items():
            self.store.set_fact(name, value)
        self.store.commit()

    def _expired(self) -> list[Alarm]:
        """Ends the sequences that are idle, if enough time has passed to look for them."""
        now = self._clock.now + self._clock.silence
        if abs(now - self._checked) <= self._idle / 16:
            return []
        self._checked = now
        return self._end(self._in_flight.idle(now - self._idle))

    def _read(self, clocked: list[Timed]) -> list[Alarm]:
        """Reads records step by step, each of which has one record of each of several keys."""
        alarms: list[Alarm] = []
        while clocked:
            now, later, seen = [], [], set[str]()
            for item in clocked:
                (later if item[0].key in seen or len(now) == LANES else now).append(item)
                seen.add(item[0].key)
            alarms += self._step(now)
            clocked = later
        return alarms

    def _step(self, items: Sequence[Timed]) -> list[Alarm]:
        """One record of each of several keys."""
        flights = self._in_flight.get([record.key for record, _ in items])
        over = [
            flights.pop(record.key)
            for record, now in items
            if record.key in flights and now - flights[record.key].seen > self._idle
        ]
        alarms = self._end(over)
        moved = [flights.get(record.key) or self._in_flight.begin(record, now) for record, now in items]
        before = [flight.sequence.largest for flight in moved]
        scores = self.detector.observe(
            [flight.sequence for flight in moved], [record.event for record, _ in items]
        )
        for flight, (record, now), score, largest in zip(moved, items, scores, before, strict=True):
            flight.take(record, now, score.bits > largest or not flight.line_number)
        alarms += self._settled(moved, scores, [record for record, _ in items])
        self._in_flight.touch(moved)
        alarms += self._end([flight for flight, (record, _) in zip(moved, items, strict=True) if record.last])
        self._in_flight.trim()
        return alarms

    def _settled(
        self, flights: Sequence[ActiveSequence], scores: Sequence[EventScore], records: Sequence[Record]
    ) -> list[Alarm]:
        """Alarms for those whose verdict nothing can take back any more."""
        p_values, speaks = self.detector.bounds([flight.sequence for flight in flights])
        alarms = []
        for i in np.flatnonzero(p_values <= self.detector.rate + 1e-12).tolist():
            flight, record = flights[i], records[i]
            if not flight.alarmed:
                alarms.append(
                    Alarm(
                        key=flight.key,
                        began=flight.number,
                        time=record.time,
                        ended=False,
                        p_value=float(p_values[i]),
                        speaks=speaks[i],
                        line=flight.last,
                        number=record.number,
                        score=scores[i],
                    )
                )
                self._flag(flight)
        return alarms

    def _end(self, flights: Sequence[ActiveSequence]) -> list[Alarm]:
        """Gives sequences their end, and their verdicts."""
        if not flights:
            return []
        verdicts: list[Verdict] = []
        for start in range(0, len(flights), LANES):
            part = flights[start : start + LANES]
            verdicts += self.detector.close([f.sequence for f in part], [f.key for f in part])
        alarms = []
        for flight, verdict in zip(flights, verdicts, strict=True):
            self.counts.sequences += 1
            flagged = verdict.flagged or flight.alarmed
            self.counts.flagged_ended += flagged
            if verdict.flagged and not flight.alarmed:
                alarms.append(at_the_end(flight, verdict))
            if flagged:
                self._flag(flight)
            self._ended.append((flight.last_number, verdict.p_value))
            self._judged(flight.number, verdict)
        self._in_flight.end(flight.key for flight in flights)
        return alarms

    def _flag(self, flight: ActiveSequence) -> None:
        """Keeps the events of a flagged sequence, so that they can be learned."""
        self.counts.flagged += not flight.alarmed
        flight.alarmed = True
        self.store.flag(flight.key, flight.number, flight.remembered)

    def _kept(self, alarms: list[Alarm]) -> list[Alarm]:
        """Puts alarms into the outbox, and looks for drift in what has ended.

        Of sequences that are read side by side the short ones end first, so they are looked at in the order
        of their last records; and not at the beginning of a watch, where only short ones have ended.
        """
        for _, p_value in sorted(self._ended):
            if self.counts.sequences > self.in_flight and (told := self.drift.observe(p_value)):
                self._tell(told)
        self._ended.clear()
        first = self._number + 1
        self.store.add_alarms((first + i, encoded(alarm, first + i)) for i, alarm in enumerate(alarms))
        self._number += len(alarms)
        return alarms

    def _check_model(self) -> None:
        """Refuses the store of another model, unless this one comes from it (see `forgive`); signs it."""
        digest, known = digest_of(weights_of(self.detector.model)), self.store.fact("model")
        if known is None or known in self.detector.artefact.facts.get("parents", ()):
            self.store.set_fact("model", digest)
        elif known != digest:
            raise ArtefactError(
                f"{self.store.path} belongs to a watch with another model "
                f"({known[:12]}, this one is {digest[:12]})",
                hint="name that model, or another file with --state",
            )

    def _mind_the_clock(self, record: Record) -> None:
        """Says once, of the first such record, that there are times which cannot be right."""
        if self._clock.odd and not self._told_odd:
            self._told_odd = True
            self._tell(
                f"from line {record.number:,} on there are times more than {self._idle:,.0f} seconds away "
                "from those before: nothing happened for so long, or a clock jumped; such times are "
                "believed, and end sequences, when several records in succession agree"
            )


@dataclass
class MonitorCounts:
    """What was watched.

    Attributes:
        records: read.
        sequences: that ended and were judged.
        flagged: of these, and of those in flight.
        flagged_ended: of those that ended.
        unparsable: lines that are no record.
    """

    records: int = 0
    sequences: int = 0
    flagged: int = 0
    flagged_ended: int = 0
    unparsable: int = 0

    def to_json(self) -> dict[str, int]:
        """The counts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
