"""The event clock: computes how much time has passed from the times of records, some of them wrong."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from onward.stored import AsTuple, Count, Finite, StoredModel
from onward.watch.input.records import Record

CONFIRMED = 8
"""Number of records in a row that must agree on a jump in time before the clock accepts it."""

RELEASE_SECONDS = 10.0
"""Seconds without a record after which records in doubt are accepted."""

Timed = tuple[Record, float]
"""A record and its time by the event clock."""


class EventClock:
    """Counts the seconds since the first record, and never runs backwards.

    A step of more than `idle` seconds, forward or back, may come from a wrong clock. It is accepted once
    `CONFIRMED` records in a row agree on it, or if the watch waited that long for the record. Records that
    are ahead are held until then: after a real pause they begin new sequences, but if a clock was wrong
    they continue the open ones. An accepted step back takes no time.

    Apart from waiting, the result depends only on the times of the records, so an interrupted run gives the
    same result. Records without times do not move the clock; without times, only waiting moves it.

    Args:
        idle: the largest step in seconds that is accepted at once.
        notify: called with a message at the first larger step.
        check_after: see `is_check_due`; by default a sixteenth of `idle`.

    Attributes:
        idle: as given.
        now: seconds since the first record.
        silence: seconds waited since the last record, if records have times.
        odd: number of records whose time differed from the others by more than `idle` seconds.
        held: records in doubt, fewer than `CONFIRMED`.
    """

    def __init__(
        self,
        idle: float,
        notify: Callable[[str], None] = lambda _: None,
        *,
        check_after: float | None = None,
    ) -> None:
        self.idle = idle
        self._check_after = idle / 16 if check_after is None else check_after
        self.now = 0.0
        self.silence = 0.0
        self.odd = 0
        self.held: list[Record] = []
        self._notify = notify
        self._reference: float | None = None  # the latest accepted time
        self._jump: float | None = None  # a time that is not accepted yet
        self._agreeing = 0
        self._checked = 0.0  # see `is_check_due`

    @property
    def elapsed(self) -> float:
        """Seconds since the first record, with the time waited since the last one."""
        return self.now + self.silence

    @property
    def has_times(self) -> bool:
        """Whether any record so far had a time."""
        return self._reference is not None

    def is_check_due(self) -> bool:
        """Whether to look for idle sequences: `check_after` seconds have passed since it was last true."""
        if abs(self.elapsed - self._checked) <= self._check_after:
            return False
        self._checked = self.elapsed
        return True

    def take(self, record: Record) -> list[Timed]:
        """Returns the records that are no longer in doubt, with their times: often just this one."""
        time = record.time
        if time is None:
            return [*self.release(), (record, self.now)]
        silence, self.silence = self.silence, 0.0
        if self._reference is None:
            self._reference = time
        step = time - self._reference
        if -self.idle <= step <= self.idle + silence:
            rejected = self._reject()
            self._move(max(self._reference, time), max(0.0, step))
            return [*rejected, (record, self.now)]
        self.odd += 1
        if self.odd == 1:
            self._notify(self._warning(record))
        return self._take_odd(record, time, self._reference)

    def release(self) -> list[Timed]:
        """Returns the records in doubt as if their times were right, at the end of the stream."""
        held, self.held = self.held, []
        return self._accept(held)

    def wait(self, seconds: float) -> list[Timed]:
        """Notes seconds of real time without a record, and returns the records that it makes acceptable."""
        if self._reference is None:
            self.now += seconds
            return []
        self.silence += seconds
        return self.release() if self.silence >= RELEASE_SECONDS else []

    def _take_odd(self, record: Record, time: float, reference: float) -> list[Timed]:
        """Handles a record with a large step in time, and accepts the step if it is confirmed."""
        step, jump, found = time - reference, self._jump, list[Timed]()
        agrees = (
            jump is not None
            and (jump > reference) == (step > 0)  # both ahead, or both behind
            and (abs(time - jump) <= self.idle or time > jump > reference)
        )
        if agrees:
            self._agreeing += 1
        else:
            found = self._reject()
            self._jump, self._agreeing = time, 1
        if step < 0:  # takes no time, accepted or not
            found.append((record, self.now))
        else:
            self.held.append(record)
        if self._agreeing >= CONFIRMED:
            held, self.held = self.held, []
            found += self._accept(held)
            self._move(time, max(0.0, step))
            found = [(known, min(then, self.now)) for known, then in found]
        return found

    def _accept(self, records: list[Record]) -> list[Timed]:
        """Returns records with their own times."""
        reference = self._reference or 0.0
        return [(record, self.now + max(0.0, (record.time or 0.0) - reference)) for record in records]

    def _reject(self) -> list[Timed]:
        """Returns the records in doubt with the current time, because their own times are wrong."""
        held, self.held = self.held, []
        return [(record, self.now) for record in held]

    def _move(self, reference: float, seconds: float) -> None:
        self.now += seconds
        self._reference, self._jump, self._agreeing = reference, None, 0

    def _warning(self, record: Record) -> str:
        return (
            f"line {record.number:,}: the time differs by more than {self.idle:,.0f} seconds from the times "
            f"before it. Either there were no records for so long, or a clock jumped. Once {CONFIRMED} "
            f"records in a row agree, such times are accepted, and idle sequences end"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the state as JSON values, without `idle`."""
        return {
            "now": self.now,
            "odd": self.odd,
            "reference": self._reference,
            "jump": self._jump,
            "agreeing": self._agreeing,
            "checked": self._checked,
            "held": self.held,
        }

    def restore(self, data: Any) -> None:
        """Continues from `to_json`.

        Raises:
            ValueError: the data is not the state of a clock.
        """
        state = _ClockState.model_validate(data)
        self.now, self.odd = state.now, state.odd
        self._reference, self._jump, self._agreeing = state.reference, state.jump, state.agreeing
        self.held = [Record(*values) for values in state.held]
        self._checked = state.checked


class _ClockState(StoredModel):
    """What `EventClock.to_json` returns."""

    now: Annotated[Finite, Field(ge=0)]
    odd: Count
    reference: Finite | None
    jump: Finite | None
    agreeing: Count
    checked: Finite
    held: list[Annotated[tuple[str, str, Finite | None, str, Count, bool], AsTuple]]
