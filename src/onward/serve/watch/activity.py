"""What a detector has read and raised over time, for the page: a timeline, and a table of events.

Both are bounded. The timeline has at most `MOST_SLOTS` slots. When it is full, their width doubles, up to
`WIDEST`; from then on the oldest slots are dropped. The table counts at most `MOST_EVENTS` events by name,
and all others together.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Annotated, Any

from onward.stored import AsTuple, Count, Number, StoredModel
from onward.watch.input.records import Record
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.features import Verdict
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.causes import first_seen
from onward.watch.stream.iso_time import time_text

MOST_SLOTS, WIDEST = 240, 512
"""Number of slots of the timeline, and their largest width in seconds: 34 hours in total."""

MOST_EVENTS, _LONGEST_NAME = 1000, 200


@dataclass
class Slot:
    """A part of the timeline.

    Attributes:
        sequences: sequences that ended.
        events: their events.
        bits: total surprise of these events.
        alarms: alarms that were raised.
        incidents: alarms among them that opened an incident.
    """

    sequences: int = 0
    events: int = 0
    bits: float = 0.0
    alarms: int = 0
    incidents: int = 0

    def add(self, other: "Slot") -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class EventCount:
    """How often an event occurred.

    Attributes:
        count: number of records with the event.
        is_known: whether the detector had learned it when it first occurred.
        first: when it first occurred, in seconds since 1970.
        last: when it last occurred.
    """

    count: int
    is_known: bool
    first: float
    last: float


class Activity:
    """The timeline and the table of a detector. Times are those of the server, in seconds since 1970."""

    def __init__(self) -> None:
        self._width = 1
        self._slots: dict[int, Slot] = {}  # by the start of the slot, divided by the width
        self._events: dict[str, EventCount] = {}
        self._others = 0

    def note(
        self,
        now: float,
        records: Iterable[Record],
        verdicts: Collection[Verdict],
        alarms: Sequence[Alarm],
        vocabulary: EventVocabulary,
    ) -> None:
        """Adds what was committed.

        Args:
            now: the present time.
            records: the records that were read.
            verdicts: the verdicts on the sequences that ended.
            alarms: the alarms that were raised.
            vocabulary: the events that the detector knows. Single bytes are not counted.
        """
        if verdicts or alarms:
            bits = sum((one.bits_per_event * one.length for one in verdicts), 0.0)
            length = sum(one.length for one in verdicts)
            opened = sum(alarm.is_news for alarm in alarms)
            self._slot(now).add(Slot(len(verdicts), length, bits, len(alarms), opened))
        for record in () if vocabulary.is_bytes else records:
            self._count(record.event, now, vocabulary)

    def to_json(self) -> dict[str, Any]:
        """Returns the timeline in order, without empty slots, and the events, the newest first."""
        events = sorted(self._events.items(), key=lambda item: -item[1].first)
        return {
            "seconds": self._width,
            "timeline": [
                {
                    "time": time_text(float(index * self._width)),
                    "sequences": slot.sequences,
                    "bits_per_event": slot.bits / slot.events if slot.events else None,
                    "alarms": slot.alarms,
                    "incidents": slot.incidents,
                }
                for index, slot in sorted(self._slots.items())
            ],
            "events": [
                {
                    "event": name,
                    "count": one.count,
                    "known": one.is_known,
                    "first": time_text(one.first),
                    "last": time_text(one.last),
                }
                for name, one in events
            ],
            "others": self._others,
        }

    def to_stored(self) -> dict[str, Any]:
        """Returns JSON values for `from_stored`."""
        return {
            "width": self._width,
            "slots": [[index, *astuple(slot)] for index, slot in self._slots.items()],
            "events": [[name, *astuple(one)] for name, one in self._events.items()],
            "others": self._others,
        }

    @classmethod
    def from_stored(cls, data: Any) -> "Activity":
        """Returns the activity that `to_stored` returned.

        Raises:
            ValueError: the data does not hold such an activity.
        """
        stored, activity = _StoredActivity.model_validate(data), cls()
        if not 1 <= stored.width <= WIDEST or len(stored.slots) > MOST_SLOTS:
            raise ValueError(f"expected at most {MOST_SLOTS} slots of at most {WIDEST} seconds")
        activity._width, activity._others = stored.width, stored.others
        for index, sequences, events, bits, alarms, incidents in stored.slots:
            activity._slots[index] = Slot(sequences, events, bits, alarms, incidents)
        for name, count, is_known, first, last in stored.events[:MOST_EVENTS]:
            activity._events[name] = EventCount(count, is_known, first, last)
        return activity

    def _slot(self, now: float) -> Slot:
        index = int(now // self._width)
        while index not in self._slots and len(self._slots) >= MOST_SLOTS:
            if self._width < WIDEST:
                self._double()
                index = int(now // self._width)
            else:
                del self._slots[min(self._slots)]
        return self._slots.setdefault(index, Slot())

    def _double(self) -> None:
        self._width *= 2
        slots, self._slots = self._slots, {}
        for index, slot in slots.items():
            self._slots.setdefault(index // 2, Slot()).add(slot)

    def _count(self, event: str, now: float, vocabulary: EventVocabulary) -> None:
        name = event[:_LONGEST_NAME]
        known = self._events.get(name)
        if known is not None:
            known.count += 1
            known.last = now
        elif len(self._events) < MOST_EVENTS:
            self._events[name] = EventCount(1, first_seen(event, vocabulary) is None, now, now)
        else:
            self._others += 1


class _StoredActivity(StoredModel):
    """What `Activity.to_stored` returns."""

    width: Count
    slots: list[Annotated[tuple[Count, Count, Count, Number, Count, Count], AsTuple]]
    events: list[Annotated[tuple[str, Count, bool, Number, Number], AsTuple]]
    others: Count
