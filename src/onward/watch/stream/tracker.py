"""Scores the open sequences of a stream, and decides which of them deviate.

A sequence is flagged at its end, by its p-value. Some features behind the p-value never fall as a sequence
goes on: the largest surprise, the burst, the new events, the highest rank. If these alone suffice, the alarm
is raised at once. No further event can revoke it, so the flagged sequences, and the false-alarm rate, are the
same as if all sequences were evaluated at their ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.event_vocabulary import END_NAME
from onward.watch.scoring.features import EventScore, Verdict
from onward.watch.stream.active_sequences import ActiveSequence, ActiveSequences
from onward.watch.stream.alarms import Alarm, UnexpectedEvent
from onward.watch.stream.event_clock import Timed

LANES = 1024
"""Maximum number of sequences that one step of the model advances."""

_UNNUMBERED = 0


@dataclass(frozen=True)
class EndedSequence:
    """A sequence that has ended.

    Attributes:
        began: line number of its first record.
        last_number: line number of its last record.
        verdict: the detector's verdict.
        flagged: whether the verdict or an earlier alarm flags it.
    """

    began: int
    last_number: int
    verdict: Verdict
    flagged: bool


@dataclass
class Findings:
    """Results of reading some records.

    Attributes:
        alarms: new alarms, without their numbers.
        ended: sequences that ended.
    """

    alarms: list[Alarm] = field(default_factory=list)
    ended: list[EndedSequence] = field(default_factory=list)


class SequenceTracker:
    """Advances the open sequences record by record.

    Args:
        detector: scores the sequences.
        sequences: the open sequences.
        idle: seconds without a record after which a sequence ends.
    """

    def __init__(self, detector: Detector, sequences: ActiveSequences, idle: float) -> None:
        self._detector, self._sequences, self._idle = detector, sequences, idle

    def read(self, records: Sequence[Timed], found: Findings) -> None:
        """Reads records in the order of each key. Records of different keys share the steps of the model.

        Args:
            records: with their times by the event clock.
            found: the results are added to it.
        """
        waiting = list(records)
        while waiting:
            step, later, keys = list[Timed](), list[Timed](), set[str]()
            for item in waiting:
                key = item[0].key
                (later if key in keys or len(step) == LANES else step).append(item)
                keys.add(key)
            self._step(step, found)
            waiting = later

    def end_idle(self, now: float, found: Findings) -> None:
        """Ends the sequences without a record for `idle` seconds before a time of the event clock."""
        self._end(self._sequences.idle(now - self._idle), found)

    def end_all(self, found: Findings) -> None:
        self._end(self._sequences.idle(float("inf")), found)

    def _step(self, items: Sequence[Timed], found: Findings) -> None:
        """Reads one record of each of several keys."""
        known = self._sequences.get([record.key for record, _ in items])
        expired = [
            known.pop(record.key)
            for record, now in items
            if record.key in known and now - known[record.key].seen > self._idle
        ]
        self._end(expired, found)
        active = [known.get(record.key) or self._sequences.begin(record, now) for record, now in items]
        largest = [sequence.sequence.largest for sequence in active]
        scores = self._detector.observe(
            [sequence.sequence for sequence in active], [record.event for record, _ in items]
        )
        for sequence, (record, now), score, before in zip(active, items, scores, largest, strict=True):
            sequence.add(record, now, is_worst=score.bits > before or not sequence.line_number)
        self._raise_early_alarms(active, scores, [record for record, _ in items], found)
        self._sequences.touch(active)
        self._end([s for s, (record, _) in zip(active, items, strict=True) if record.last], found)
        self._sequences.trim()

    def _raise_early_alarms(
        self,
        active: Sequence[ActiveSequence],
        scores: Sequence[EventScore],
        records: Sequence[Record],
        found: Findings,
    ) -> None:
        """Flags the sequences whose verdict no further event can change."""
        p_values, features = self._detector.bounds([sequence.sequence for sequence in active])
        for i in np.flatnonzero(self._detector.is_flagged(p_values)).tolist():
            sequence, record = active[i], records[i]
            if sequence.alarmed:
                continue
            found.alarms.append(
                Alarm(
                    number=_UNNUMBERED,
                    key=sequence.key,
                    began=sequence.number,
                    time=record.time,
                    ended=False,
                    p_value=float(p_values[i]),
                    main_feature=features[i],
                    line=sequence.last,
                    line_number=record.number,
                    event=UnexpectedEvent.of(scores[i]),
                )
            )
            self._sequences.flag(sequence)

    def _end(self, ended: Sequence[ActiveSequence], found: Findings) -> None:
        """Evaluates sequences at their ends, and removes them."""
        for start in range(0, len(ended), LANES):
            part = ended[start : start + LANES]
            verdicts = self._detector.close([s.sequence for s in part], [s.key for s in part])
            for sequence, verdict in zip(part, verdicts, strict=True):
                flagged = verdict.flagged or sequence.alarmed
                if verdict.flagged and not sequence.alarmed:
                    found.alarms.append(_alarm_at_end(sequence, verdict))
                if flagged:
                    self._sequences.flag(sequence)  # again, with the events since the alarm
                found.ended.append(EndedSequence(sequence.number, sequence.last_number, verdict, flagged))
        if ended:
            self._sequences.remove(sequence.key for sequence in ended)


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
