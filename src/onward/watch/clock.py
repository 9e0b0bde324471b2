"""The time that has passed, by the times of records, whose clocks may be wrong."""

from typing import Any

CONFIRMED = 8
"""Records in succession that must agree that the time has jumped before it is believed."""


class EventClock:
    """Seconds of watching, which only move on: by what the times of the records move on.

    A step of more than `idle` seconds, ahead or back, may be a wrong clock. It is believed when so many
    records in succession are beyond it; until then they move nothing. A step back that is believed takes
    no time. All of it follows from the times alone, so a run that was interrupted comes to the same.

    Args:
        idle: the step in seconds that is taken without asking.

    Records without times move nothing; there the seconds that were waited for them are all that passes.

    Attributes:
        now: seconds since the first record.
        silence: seconds that were waited since the last record, where records have times.
        odd: records whose time was further from the others than `idle`.
    """

    def __init__(self, idle: float) -> None:
        self.idle = idle
        self.now = 0.0
        self.silence = 0.0
        self.odd = 0
        self._reference: float | None = None  # the latest time that is believed
        self._jump: float | None = None  # the time that is not believed yet
        self._agreeing = 0

    def advance(self, time: float | None) -> float:
        """`now` after a record of a time; one without a time moves nothing."""
        if time is None:
            return self.now
        self.silence = 0.0
        if self._reference is None:
            self._reference = time
        step = time - self._reference
        if abs(step) <= self.idle:
            self._move(max(self._reference, time), max(0.0, step))
        else:
            self.odd += 1
            self._doubt(time, step)
        return self.now

    def wait(self, seconds: float) -> None:
        """Nothing came for so many seconds, of the wall."""
        if self._reference is None:
            self.now += seconds
        else:
            self.silence += seconds

    def _doubt(self, time: float, step: float) -> None:
        """Counts a time that is far from the one believed, and takes it over if it is confirmed."""
        jump = self._jump
        ahead = jump is not None and step > 0 and time >= jump - self.idle
        back = jump is not None and step < 0 and abs(time - jump) <= self.idle
        if ahead or back:
            self._agreeing += 1
        else:
            self._jump, self._agreeing = time, 1
        if self._agreeing >= CONFIRMED:
            self._move(time, max(0.0, step))

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
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Goes on from what `to_json` gave."""
        self.now, self.odd = data["now"], data["odd"]
        self._reference, self._jump, self._agreeing = data["reference"], data["jump"], data["agreeing"]
