"""The time that has passed, by the times of records, whose clocks may be wrong."""

from typing import Any

from onward.watch.input.records import Record

CONFIRMED = 8
"""Records in succession that must agree that the time has jumped before it is believed."""

PATIENCE = 10.0
"""Seconds of silence after which records in doubt are waited for no longer."""

Timed = tuple[Record, float]
"""A record, and the seconds of watching that had passed when it came."""


class EventClock:
    """Seconds of watching, which only move on: by what the times of the records move on.

    A step of more than `idle` seconds, ahead or back, may be a wrong clock. It is believed when so many
    records in succession are beyond it, or when so long was waited for the record; until then it moves
    nothing. Records that are ahead are held until that is decided: they begin other sequences if nothing
    came for so long, and go on with those in flight if a clock was wrong. A step back that is believed takes
    no time. But for what was waited all of it follows from the times alone, so a run that was interrupted
    comes to the same.

    Args:
        idle: the step in seconds that is taken without asking.

    Records without times move nothing; there the seconds that were waited for them are all that passes.

    Attributes:
        now: seconds since the first record.
        silence: seconds that were waited since the last record, where records have times.
        odd: records whose time was further from the others than `idle`.
        held: records that are in doubt, fewer than `CONFIRMED`.
    """

    def __init__(self, idle: float) -> None:
        self.idle = idle
        self.now = 0.0
        self.silence = 0.0
        self.odd = 0
        self.held: list[Record] = []
        self._reference: float | None = None  # the latest time that is believed
        self._jump: float | None = None  # the time that is not believed yet
        self._agreeing = 0

    def take(self, record: Record) -> list[Timed]:
        """What is known after a record: those that are in doubt no longer, and the record unless it is."""
        time = record.time
        if time is None:
            return [*self.release(), (record, self.now)]
        silence, self.silence = self.silence, 0.0
        if self._reference is None:
            self._reference = time
        step = time - self._reference
        if -self.idle <= step <= self.idle + silence:
            wrong = self._wrong()
            self._move(max(self._reference, time), max(0.0, step))
            return [*wrong, (record, self.now)]
        self.odd += 1
        return self._doubted(record, time, self._reference)

    def release(self) -> list[Timed]:
        """The records that are in doubt, as if their times were right, where no others will decide that."""
        held, self.held = self.held, []
        return self._believed(held, self.now)

    def wait(self, seconds: float) -> list[Timed]:
        """Nothing came for so many seconds, of the wall. The records that are waited for no longer."""
        if self._reference is None:
            self.now += seconds
            return []
        self.silence += seconds
        return self.release() if self.silence >= PATIENCE else []

    def _doubted(self, record: Record, time: float, reference: float) -> list[Timed]:
        """Counts a time that is far from the one believed, and takes it over if it is confirmed."""
        step, jump, found = time - reference, self._jump, list[Timed]()
        agrees = (
            jump is not None
            and (jump > reference) == (step > 0)  # on the same side of what is believed
            and (abs(time - jump) <= self.idle or time > jump > reference)
        )
        if agrees:
            self._agreeing += 1
        else:
            found = self._wrong()
            self._jump, self._agreeing = time, 1
        if step < 0:  # which takes no time, be it believed or not
            found.append((record, self.now))
        else:
            self.held.append(record)
        if self._agreeing >= CONFIRMED:
            held, self.held = self.held, []
            found += self._believed(held, self.now)
            self._move(time, max(0.0, step))
            found = [(known, min(then, self.now)) for known, then in found]
        return found

    def _believed(self, records: list[Record], now: float) -> list[Timed]:
        """Records with the moments that they themselves tell."""
        reference = self._reference or 0.0
        return [(record, now + max(0.0, (record.time or 0.0) - reference)) for record in records]

    def _wrong(self) -> list[Timed]:
        """The records that were in doubt, whose times say nothing."""
        held, self.held = self.held, []
        return [(record, self.now) for record in held]

    def _move(self, reference: float, seconds: float) -> None:
        self.now += seconds
        self._reference, self._jump, self._agreeing = reference, None, 0

    def to_json(self) -> dict[str, Any]:
        """All of it but `idle`, as plain values."""
        return {
            "now": self.now,
            "odd": self.odd,
            "reference": self._reference,
            "jump": self._jump,
            "agreeing": self._agreeing,
            "held": self.held,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Goes on from what `to_json` gave."""
        self.now, self.odd = data["now"], data["odd"]
        self._reference, self._jump, self._agreeing = data["reference"], data["jump"], data["agreeing"]
        self.held = [Record(*values) for values in data.get("held", ())]
