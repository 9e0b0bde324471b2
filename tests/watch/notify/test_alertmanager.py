"""Alertmanager: alerts with the fields of its OpenAPI document (version 2), and their times."""

import json
import re
import time
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.watch.notify.receivers import alarm, closed, http_receiver

from onward.watch.notify.alertmanager import EXPIRY_SECONDS, Alertmanager
from onward.watch.notify.http_post import Endpoint
from onward.watch.stream.store import Notice

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def posted(notice: Notice) -> dict[str, Any]:
    """Returns the alert of a notice, after a check against `postableAlerts` of Alertmanager's document."""
    with http_receiver() as receiver:
        Alertmanager(Endpoint(f"{receiver.url}/api/v2/alerts", "--alertmanager"), "audit").send("w-1", notice)
    ((path, headers, body),) = receiver.requests
    assert (path, headers["Content-Type"]) == ("/api/v2/alerts", "application/json")
    (alert,) = json.loads(body)
    assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    for name, value in (alert["labels"] | alert["annotations"]).items():
        assert LABEL.fullmatch(name) and isinstance(value, str) and value
    for name in ("startsAt", "endsAt"):
        assert datetime.fromisoformat(alert[name]).tzinfo
    return alert


def seconds(alert: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(alert[name]).timestamp()


def test_an_alarm_opens_an_alert() -> None:
    alert = posted(alarm(1, time=1e9))
    assert alert["labels"] == {
        "alertname": "OnwardIncident",
        "cause": "first seen: boom",
        "detector": "audit",
        "key": "s1",
    }
    assert alert["annotations"] == {
        "summary": "first seen: boom (incident 1)",
        "line": '9: b"oo]m\\',
        "expected": "read 0.75, write 0.25",
        "p_value": "0.001",
    }
    assert seconds(alert, "startsAt") == 1e9
    assert seconds(alert, "endsAt") == pytest.approx(time.time() + EXPIRY_SECONDS, abs=30)


def test_an_alert_of_a_partition_has_its_number() -> None:
    opened, over = (posted(replace(notice, partition=3)) for notice in (alarm(1), closed(1)))
    assert opened["labels"]["partition"] == over["labels"]["partition"] == "3"


def test_a_closed_incident_resolves_the_alert_with_the_same_labels() -> None:
    alert = posted(closed(1))
    assert alert["labels"] == posted(alarm(1))["labels"]
    assert alert["annotations"]["keys"] == "s1, s2, s3, ... (4 keys)"
    assert seconds(alert, "startsAt") <= seconds(alert, "endsAt") < time.time()


@pytest.mark.parametrize("began", [None, -1e10])
def test_without_a_known_time_an_alert_begins_now(began: float | None) -> None:
    alert = posted(alarm(1, time=began))
    assert seconds(alert, "startsAt") == pytest.approx(time.time(), abs=30)


def test_an_alert_does_not_begin_in_the_future() -> None:
    assert seconds(posted(alarm(1, time=1e11)), "startsAt") <= time.time()
