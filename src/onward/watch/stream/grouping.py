"""Groups alarms into incidents: by their causes, and by their times on the event clock.

An alarm joins the last incident of its cause, unless that has been quiet for too long. An event that was
never seen before is reported once: its alarms join their incident however late they come, even if it is
closed. Any other alarm also joins an open incident of its key, as long as that incident has no other key. So
one source in trouble is one incident, but a cause that many sources share does not hide their other troubles.

The state is in the store, which commits it together with the alarms.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from onward.watch.stream.alarms import Alarm, Membership
from onward.watch.stream.causes import is_first_seen
from onward.watch.stream.store import IncidentRow, WatchStore

REMEMBERED = 10_000
"""Maximum number of incidents in the store; the closed ones with the oldest alarms are forgotten first."""

_NAMES = 3
"""Number of keys of an incident that are named."""


class IncidentGrouping:
    """The incidents of a watch.

    Args:
        store: holds the incidents, and takes the notices.
        quiet: seconds without an alarm after which an incident is closed.
        remembered: maximum number of incidents in the store.
    """

    def __init__(self, store: WatchStore, quiet: float, remembered: int = REMEMBERED) -> None:
        self._store, self._quiet, self._remembered = store, quiet, remembered

    def add(
        self, alarm: Alarm, causes: Sequence[str], seconds: float, number: int, *, may_open: bool = True
    ) -> Alarm | None:
        """Returns the alarm with its place in an incident, and puts it into the outbox.

        The incidents that have been quiet for too long by then are closed first. Alarms come in the order of
        their times, so the incidents do not depend on how the records were divided.

        Args:
            alarm: the alarm.
            causes: its possible causes, the likeliest first; at least one.
            seconds: when it was raised, by the event clock.
            number: number of the incident that the alarm opens if it joins none.
            may_open: whether it may open one. If not, and it joins none, it is dropped: the result is None.
        """
        self.close_quiet(seconds)
        row = self._joined(alarm.key, causes)
        if row is None and not may_open:
            return None
        if row is None:
            row = self._opened(alarm, _unreported(self._store, causes), seconds, number)
        row = self._grown(row, alarm, seconds)
        self._store.save_incident(row)
        place = Membership(row.number, row.cause, row.alarms - 1, row.keys, row.earlier, row.previous)
        alarm = replace(alarm, membership=place)
        self._store.add_notices([alarm])
        return alarm

    def close_quiet(self, now: float) -> None:
        """Closes the incidents that have been quiet for too long at a time of the event clock."""
        while row := self._store.quiet_incident(now - self._quiet):
            self._close(row)

    def close_all(self) -> None:
        """Closes all incidents, at the end of a source."""
        self.close_quiet(float("inf"))

    def _joined(self, key: str, causes: Sequence[str]) -> IncidentRow | None:
        """Returns the incident that an alarm joins; None: it opens one."""
        known = [self._store.incident_by_cause(cause) for cause in causes]
        if is_first_seen(causes[0]):
            return known[0] if all(known) else None
        if row := next((row for row in known if row and not row.closed), None):
            return row
        return self._store.incident_by_key(key) if key else None

    def _opened(self, alarm: Alarm, cause: str, seconds: float, number: int) -> IncidentRow:
        """Returns a new incident, without its first alarm."""
        before = self._store.incident_by_cause(cause)
        if oldest := self._store.oldest_incident(self._remembered - 1):
            if not oldest.closed:
                self._close(oldest)
            self._store.forget_incident(oldest.number)
        return IncidentRow(
            number=number,
            cause=cause,
            alarm=alarm.number,
            last_alarm=alarm.number,
            alarms=0,
            keys=0,
            names="[]",
            began=seconds,
            seen=seconds,
            first=alarm.time,
            last=alarm.time,
            earlier=before.earlier + 1 if before else 0,
            previous=before.last if before else None,
            closed=0,
        )

    def _grown(self, row: IncidentRow, alarm: Alarm, seconds: float) -> IncidentRow:
        """Returns an incident with one more alarm."""
        names = json.loads(row.names)
        is_new_key = self._store.add_incident_key(row.number, alarm.key)
        if is_new_key and len(names) < _NAMES:
            names.append(alarm.key)
        return row._replace(
            last_alarm=alarm.number,
            alarms=row.alarms + 1,
            keys=row.keys + is_new_key,
            names=json.dumps(names),
            began=min(row.began, seconds),
            seen=max(row.seen, seconds),
            last=row.last if alarm.time is None else alarm.time,
        )

    def _close(self, row: IncidentRow) -> None:
        closed = row._replace(closed=1)
        self._store.save_incident(closed)
        self._store.add_notices([closed.to_incident()])


def _unreported(store: WatchStore, causes: Sequence[str]) -> str:
    """Returns the first cause without an incident; if all have one, the first cause."""
    return next((cause for cause in causes if not store.incident_by_cause(cause)), causes[0])
