"""Prometheus Alertmanager: an incident is an alert, which is resolved when the incident is closed.

Alertmanager takes lists of alerts at /api/v2/alerts, and resolves an alert by itself at its `endsAt`. So the
opening alarm of an open incident is sent again before then.
"""

import time
from typing import Any

from onward.printable import printable, printable_json
from onward.watch.notify.http_post import Endpoint
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.incidents import Incident
from onward.watch.stream.iso_time import time_text
from onward.watch.stream.store import Notice

PATH = "/api/v2/alerts"

EXPIRY_SECONDS = 300.0
"""Time after which Alertmanager resolves an alert that was not sent again."""

_ROUNDING = 0.001  # seconds; an alert that ends later than now is not resolved yet


class Alertmanager:
    """An Alertmanager.

    The labels of an alert come from the cause and the first key of the incident. So an incident that opens
    again is the same alert.

    Args:
        endpoint: the URL of its alerts.
        detector: name of the detector, for the labels.
        repeat_seconds: time between two requests for an open incident.
    """

    def __init__(self, endpoint: Endpoint, detector: str, repeat_seconds: float = EXPIRY_SECONDS / 5) -> None:
        self._endpoint, self._detector = endpoint, detector
        self.id, self.target = f"alertmanager {endpoint.id}", endpoint.target
        self.repeat_seconds: float | None = repeat_seconds

    def send(self, name: str, notice: Notice) -> None:
        """See `Notifier.send`."""
        alert = self._opened(notice) if isinstance(notice, Alarm) else self._closed(notice)
        self._endpoint.post(printable_json([alert]).encode(), {"Idempotency-Key": name})

    def _opened(self, alarm: Alarm) -> dict[str, Any]:
        expected = alarm.event.expected if alarm.event else ()
        annotations = {
            "summary": f"{alarm.membership.cause} ({alarm.membership.describe()})",
            "line": f"{alarm.line_number}: {alarm.line}",
            "expected": ", ".join(f"{one.event} {one.probability:.2f}" for one in expected),
            "p_value": f"{alarm.p_value:.3g}",
        }
        labels = self._labels(alarm.membership.cause, alarm.key, alarm.partition)
        return _alert(labels, annotations, alarm.time, time.time() + EXPIRY_SECONDS)

    def _closed(self, incident: Incident) -> dict[str, Any]:
        keys = ", ".join(incident.names)
        annotations = {
            "summary": f"{incident.cause} (incident {incident.number}, closed: {incident.alarms:,} alarms)",
            "keys": keys if incident.keys == len(incident.names) else f"{keys}, ... ({incident.keys:,} keys)",
        }
        labels = self._labels(incident.cause, incident.names[0] if incident.names else "", incident.partition)
        return _alert(labels, annotations, incident.first, time.time() - _ROUNDING)

    def _labels(self, cause: str, key: str, partition: int | None) -> dict[str, str]:
        labels = {"alertname": "OnwardIncident", "detector": self._detector, "cause": cause, "key": key}
        return labels if partition is None else labels | {"partition": str(partition)}


def _alert(
    labels: dict[str, str], annotations: dict[str, str], starts: float | None, ends: float
) -> dict[str, Any]:
    """Returns an alert. Of the starts that it was sent with, Alertmanager keeps the earliest."""
    latest = min(ends, time.time())
    if starts is None or starts < 0:  # a log may have no times, no year, or a wrong clock
        starts = latest
    return {
        "labels": {name: printable(value) for name, value in labels.items() if value},
        "annotations": {name: printable(value) for name, value in annotations.items() if value},
        "startsAt": time_text(min(starts, latest)),
        "endsAt": time_text(ends),
    }
