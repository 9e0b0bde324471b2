"""Incidents: alarms with the same cause or key, close in time.

An incident is reported when its first alarm is raised, and again when it is closed. In between, only its
counts grow.
"""

from dataclasses import dataclass
from typing import Any, Literal

from onward.printable import printable, printable_json
from onward.stored import Count, Number, StoredModel
from onward.watch.stream.iso_time import seconds_of, time_text

_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True)
class Incident:
    """Alarms of one cause, with at most the quiet time between them.

    Attributes:
        number: counts the incidents of a watch from 1.
        cause: what the alarms have in common (see `causes`).
        alarm: number of the alarm that opened it.
        alarms: number of its alarms.
        keys: number of distinct keys of its alarms.
        names: the first of these keys.
        first: time of the first alarm in seconds since 1970; None if records have no times.
        last: time of the last alarm.
        seconds: time between the first and the last alarm by the event clock.
        earlier: number of earlier incidents with the same cause.
        closed: whether it has been quiet, so that the next alarm of its cause opens a new incident.
        partition: as in `Alarm`.
    """

    number: int
    cause: str
    alarm: int
    alarms: int
    keys: int
    names: tuple[str, ...]
    first: float | None
    last: float | None
    seconds: float
    earlier: int
    closed: bool
    partition: int | None = None

    @property
    def is_news(self) -> bool:
        """Whether its closing tells a person more than its first alarm did."""
        return self.alarms > 1

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values with rounded numbers; `from_json` and `to_json` again give the same values."""
        data = {
            "type": "incident",
            "incident": self.number,
            "cause": self.cause,
            "alarm": self.alarm,
            "alarms": self.alarms,
            "keys": self.keys,
            "names": [*self.names],
            "first": time_text(self.first),
            "last": time_text(self.last),
            "seconds": round(self.seconds, 3),
            "earlier": self.earlier,
            "closed": self.closed,
        }
        return data if self.partition is None else data | {"partition": self.partition}

    @classmethod
    def from_json(cls, data: Any) -> "Incident":
        """Returns the incident that `to_json` returned.

        Raises:
            ValueError: the data is not an incident.
        """
        stored = _StoredIncident.model_validate(data)
        return cls(
            number=stored.incident,
            cause=stored.cause,
            alarm=stored.alarm,
            alarms=stored.alarms,
            keys=stored.keys,
            names=tuple(stored.names),
            first=seconds_of(stored.first),
            last=seconds_of(stored.last),
            seconds=stored.seconds,
            earlier=stored.earlier,
            closed=stored.closed,
            partition=stored.partition,
        )

    def encode(self) -> str:
        """Returns the incident as one line of JSON, without control characters."""
        return printable_json(self.to_json())

    def as_line(self) -> str:
        """Returns one line for people: time, keys, state, counts, cause and number, separated by tabs."""
        others = f" and {self.keys - len(self.names):,} more" if self.keys > len(self.names) else ""
        cells = [
            time_text(self.last) or "-",
            f"{', '.join(self.names)}{others}",
            "closed" if self.closed else "open",
            f"{self.alarms:,} alarms in {_duration(self.seconds)}",
            self.cause,
            f"incident {self.number}{in_partition(self.partition)}",
        ]
        return "\t".join(map(printable, cells))


def in_partition(partition: int | None) -> str:
    """Returns " in partition 3" for people; "" if the source has no partitions."""
    return "" if partition is None else f" in partition {partition}"


def _duration(seconds: float) -> str:
    """Returns a time in its two largest units, such as 2h 13m."""
    rest, parts = round(seconds), list[str]()
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


class _StoredIncident(StoredModel):
    """What `Incident.to_json` returns."""

    type: Literal["incident"]
    incident: Count
    cause: str
    alarm: Count
    alarms: Count
    keys: Count
    names: list[str]
    first: str | None
    last: str | None
    seconds: Number
    earlier: Count
    closed: bool
    partition: Count | None = None
