"""What the tracker finds in records: candidates for alarms, and sequences that ended."""

from dataclasses import dataclass, field
from typing import NamedTuple

from onward.watch.scoring.features import Verdict
from onward.watch.stream.active_sequences import ActiveSequence
from onward.watch.stream.alarms import Alarm


class Place(NamedTuple):
    """A place in the stream. The order of places does not depend on how the records were divided into calls.

    Attributes:
        seconds: the time by the event clock.
        is_idle: whether silence ended the sequence. Such ends come after all records of the same time.
        number: number of the last record of the sequence.
        key: key of the sequence.
    """

    seconds: float
    is_idle: bool
    number: int
    key: str


@dataclass(frozen=True)
class Candidate:
    """An alarm that rate control may suppress.

    Attributes:
        alarm: the alarm, without a number and an incident.
        causes: its possible causes, the likeliest first; at least one.
        score: the score of the sequence; if it has not ended, a lower bound of the score at its end.
        length: number of events of the sequence up to here.
        place: where it was found.
    """

    alarm: Alarm
    causes: tuple[str, ...]
    score: float
    length: int
    place: Place

    @property
    def id(self) -> tuple[str, int]:
        """Identifies the sequence: its key, and the number of its first record."""
        return self.alarm.key, self.alarm.began


@dataclass(frozen=True)
class EndedSequence:
    """A sequence that has ended.

    Attributes:
        sequence: the sequence.
        verdict: the detector's verdict.
        place: where it ended.
        candidate: the alarm at its end; None if the detector does not flag it.
    """

    sequence: ActiveSequence
    verdict: Verdict
    place: Place
    candidate: Candidate | None

    @property
    def id(self) -> tuple[str, int]:
        """Identifies the sequence: its key, and the number of its first record."""
        return self.sequence.key, self.sequence.number


@dataclass
class Findings:
    """Results of reading some records.

    Attributes:
        candidates: candidates of sequences that had not ended.
        ended: sequences that ended.
    """

    candidates: list[Candidate] = field(default_factory=list)
    ended: list[EndedSequence] = field(default_factory=list)

    @property
    def has_candidates(self) -> bool:
        return bool(self.candidates) or any(ended.candidate for ended in self.ended)

    def in_order(self) -> list[Candidate | EndedSequence]:
        """Returns everything by place; a sequence ends after its candidates."""
        return sorted([*self.candidates, *self.ended], key=lambda found: found.place)
