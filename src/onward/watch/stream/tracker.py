"""Scores the open sequences of a stream, and finds those that deviate.

A sequence is flagged at its end, by its p-value. Some features behind the p-value never fall as a sequence
goes on: the total surprise, the largest ones, the new events, the highest rank. If these alone suffice, the
sequence is a candidate for an alarm at once. No further event can revoke it, so the flagged sequences are the
same as if all sequences were evaluated at their ends. The monitor may reject a candidate, because of rate
control. So a sequence is a candidate again with each further unusual event, and at its end.

The records of one call are divided into runs: the records of one sequence, in order. In each step of the
model, every run that is not finished advances by one record. So sequences are scored side by side, also those
that follow each other under one key, and the time is linear in the number of records.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np

from onward.watch.detector import MOST_AT_ONCE, Detector
from onward.watch.input.records import Record
from onward.watch.scoring.event_vocabulary import END_NAME
from onward.watch.scoring.features import ObservedEvent, Peaks, Verdict
from onward.watch.stream.active_sequences import ActiveSequence, ActiveSequences
from onward.watch.stream.alarms import Alarm, UnexpectedEvent
from onward.watch.stream.causes import cause_of, first_seen
from onward.watch.stream.event_clock import Timed
from onward.watch.stream.findings import Candidate, EndedSequence, Findings, Place

LANES = MOST_AT_ONCE
"""Maximum number of sequences that one step of the model advances."""

_UNNUMBERED = 0


@dataclass
class _Run:
    """The records of one sequence among those of a call.

    Attributes:
        key: key of the sequence.
        items: records that are not read yet, with their places among all records of the call.
        follows: whether an earlier sequence of the call has the same key.
        ends: whether the sequence ends after these records.
        expires: whether it ends because the next record of the key comes too late.
        active: the sequence; None before the first record is read.
    """

    key: str
    items: deque[tuple[int, Timed]]
    follows: bool
    ends: bool = False
    expires: bool = False
    active: ActiveSequence | None = None

    def __lt__(self, other: "_Run") -> bool:
        """Orders runs by their next records."""
        return self.items[0][0] < other.items[0][0]

    def take(self, count: int) -> list[Timed]:
        """Removes and returns the next records."""
        return [self.items.popleft()[1] for _ in range(count)]


_Block: TypeAlias = list[tuple[_Run, list[Timed]]]
"""Runs, and the next records of each; the same number for all."""


class SequenceTracker:
    """Advances the open sequences record by record.

    Args:
        detector: scores the sequences.
        sequences: the open sequences.
        idle: seconds without a record after which a sequence ends.
    """

    def __init__(self, detector: Detector, sequences: ActiveSequences, idle: float) -> None:
        self._detector, self._sequences, self._idle = detector, sequences, idle

    def use(self, detector: Detector) -> None:
        """Scores with another version of the detector from now on."""
        self._detector = detector
        self._sequences.use(detector)

    def read(self, records: Sequence[Timed], found: Findings) -> None:
        """Reads records in the order of each key.

        Args:
            records: with their times by the event clock.
            found: the results are added to it.
        """
        open_runs: list[_Run] = []
        for block in _blocks(self._runs(records)):
            self._read(block, found)
            open_runs += [run for run, _ in block if run.follows and not run.ends and not run.items]
        self._sequences.touch(run.active for run in open_runs if run.active)
        self._sequences.trim()

    def end_idle(self, now: float, found: Findings, most: int | None = None) -> int:
        """Ends sequences without a record for `idle` seconds before a time of the event clock.

        Args:
            now: the time.
            found: the results are added to it.
            most: how many end at most, the longest idle first; None: all.

        Returns:
            How many have ended.
        """
        idle = self._sequences.idle(now - self._idle, most)
        self._end(idle, found, after=self._idle)
        return len(idle)

    def end_all(self, found: Findings) -> None:
        self._end(self._sequences.idle(float("inf")), found)

    def _runs(self, records: Sequence[Timed]) -> list[_Run]:
        """Divides records into runs. A run ends after a last record, or if the next one comes too late."""
        runs: list[_Run] = []
        latest: dict[str, tuple[_Run, float]] = {}  # by key: the run, and the time of its last record
        for place, (record, now) in enumerate(records):
            run, seen = latest.get(record.key, (None, now))
            if run is None or run.ends or now - seen > self._idle:
                if run and not run.ends:
                    run.ends = run.expires = True
                run = _Run(record.key, deque(), follows=run is not None)
                runs.append(run)
            run.items.append((place, (record, now)))
            run.ends = record.last
            latest[record.key] = run, now
        return runs

    def _read(self, block: _Block, found: Findings) -> None:
        """Reads the same number of records of each of several runs."""
        active = self._activated(block, found)
        largest = [sequence.sequence.surprise.tops[0] for sequence in active]
        peaks = [sequence.peaks or sequence.sequence.peaks for sequence in active]
        runs = [[record.event for record, _ in items] for _, items in block]
        observed = self._detector.observe([sequence.sequence for sequence in active], runs)
        certain = self._certain(active, peaks, observed)
        for t in range(len(runs[0])):
            for i, (sequence, (_, items)) in enumerate(zip(active, block, strict=True)):
                (record, now), event = items[t], observed[i][t]
                is_worst = event.score.bits > largest[i] or not sequence.line_number
                unseen = first_seen(record.event, self._detector.vocabulary)
                sequence.add(record, now, is_worst=is_worst, unseen=unseen)
                largest[i] = max(largest[i], event.score.bits)
                if (t, i) in certain:
                    score, p_value, feature = certain[t, i]
                    alarm = _early_alarm(sequence, record, event, p_value, feature)
                    place, length = Place(now, False, record.number, sequence.key), event.peaks.length
                    found.candidates.append(
                        self._candidate(sequence, alarm, sequence.worst, score, length, place)
                    )
        self._sequences.touch(s for s, (run, _) in zip(active, block, strict=True) if not run.follows)
        for expires, after in ((False, 0.0), (True, self._idle)):
            ended = [
                sequence
                for sequence, (run, _) in zip(active, block, strict=True)
                if run.ends and not run.items and run.expires == expires
            ]
            self._end(ended, found, after)
        self._sequences.trim()

    def _activated(self, block: _Block, found: Findings) -> list[ActiveSequence]:
        """Returns the sequences of runs, and begins new ones. Sequences that were idle too long end."""
        known = self._sequences.get([run.key for run, _ in block if not run.follows])
        expired = [
            known.pop(run.key)
            for run, items in block
            if run.key in known and not run.follows and items[0][1] - known[run.key].seen > self._idle
        ]
        self._end(expired, found, after=self._idle)
        for run, items in block:
            if not run.follows:
                run.active = known.get(run.key)
            run.active = run.active or self._sequences.begin(*items[0])
        return [run.active for run, _ in block if run.active]

    def _certain(
        self,
        active: Sequence[ActiveSequence],
        peaks: Sequence[Peaks],
        observed: Sequence[Sequence[ObservedEvent]],
    ) -> dict[tuple[int, int], tuple[float, float, str]]:
        """Returns the unusual events after which no further event can change the verdict on a sequence.

        Args:
            active: the sequences without an alarm, and others.
            peaks: the peaks of each before its events.
            observed: the events of each.

        Returns:
            Bounds of the score and of the p-value, and the main feature, by the place of the event and that
            of the sequence.
        """
        places = list[tuple[int, int]]()
        for i, (sequence, before, events) in enumerate(zip(active, peaks, observed, strict=True)):
            highest, sequence.peaks = before, events[-1].peaks
            if sequence.alarmed:
                continue
            for t, event in enumerate(events):
                if event.peaks.is_above(highest):
                    places.append((t, i))
                    highest = event.peaks
        if not places:
            return {}
        bounds = self._detector.bounds([observed[i][t].peaks for t, i in places])
        is_flagged = self._detector.is_flagged(bounds.p_values)
        return {places[n]: bounds.at(n) for n in np.flatnonzero(is_flagged).tolist()}

    def _end(self, ended: Sequence[ActiveSequence], found: Findings, after: float = 0.0) -> None:
        """Evaluates sequences at their ends, `after` seconds after their last records, and removes them."""
        for start in range(0, len(ended), LANES):
            part = ended[start : start + LANES]
            verdicts = self._detector.close([s.sequence for s in part], [s.key for s in part])
            for sequence, verdict in zip(part, verdicts, strict=True):
                place = Place(sequence.seen + after, after > 0, sequence.last_number, sequence.key)
                candidate = None
                if verdict.flagged and not sequence.alarmed:
                    alarm = _alarm_at_end(sequence, verdict)
                    worst = verdict.events[0].event if verdict.events else None
                    candidate = self._candidate(sequence, alarm, worst, verdict.score, verdict.length, place)
                found.ended.append(EndedSequence(sequence, verdict, place, candidate))
        self._sequences.remove(ended)

    def _candidate(
        self,
        sequence: ActiveSequence,
        alarm: Alarm,
        worst: str | None,
        score: float,
        length: int,
        place: Place,
    ) -> Candidate:
        """Returns a candidate with its causes. An event that was never seen comes before all others."""
        causes = tuple(sequence.unseen)
        if not causes:
            vocabulary = self._detector.vocabulary
            causes = (cause_of(worst, sequence.line, vocabulary, alarm.main_feature, alarm.counts),)
        return Candidate(alarm, causes, score, length, place)


def _blocks(runs: list[_Run]) -> Iterator[_Block]:
    """Divides runs into blocks that are read together: the runs whose next records come first.

    A block has as many steps as its shortest run, unless further runs wait for a place.
    """
    waiting = [*runs]  # they are in order, so this is a heap
    while waiting:
        chosen = [heappop(waiting) for _ in range(min(LANES, len(waiting)))]
        count = 1 if waiting else min(LANES // len(chosen), *(len(run.items) for run in chosen))
        yield [(run, run.take(count)) for run in chosen]
        for run in chosen:
            if run.items:
                heappush(waiting, run)


def _early_alarm(
    sequence: ActiveSequence, record: Record, event: ObservedEvent, p_value: float, feature: str
) -> Alarm:
    return Alarm(
        number=_UNNUMBERED,
        key=sequence.key,
        began=sequence.number,
        time=record.time,
        ended=False,
        p_value=p_value,
        main_feature=feature,
        line=sequence.last,
        line_number=record.number,
        event=UnexpectedEvent.of(event.score),
    )


def _alarm_at_end(sequence: ActiveSequence, verdict: Verdict) -> Alarm:
    worst = verdict.events[0] if verdict.events else None
    is_end = worst is not None and worst.event == END_NAME
    return Alarm(
        number=_UNNUMBERED,
        key=sequence.key,
        began=sequence.number,
        time=sequence.time,
        ended=True,
        p_value=verdict.p_value,
        main_feature=verdict.main_feature,
        line=sequence.last if is_end else sequence.line,
        line_number=sequence.last_number if is_end else sequence.line_number,
        event=UnexpectedEvent.of(worst) if worst else None,
        counts=verdict.counts,
    )
