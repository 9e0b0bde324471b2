"""Alarms: their JSON form, and their line for people."""

import datetime
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.watch.scoring.features import CountDifference, Expected
from onward.watch.stream.alarms import Alarm, Membership, UnexpectedEvent
from onward.watch.stream.incidents import Incident
from onward.watch.stream.iso_time import time_text

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHARES = st.floats(0, 1)
PLACES = st.integers(0, 2**53)
# Fields, not objects: beartype checks a constructor with random numbers, which strategies must not use.
EVENTS = st.tuples(
    NAMES,
    st.floats(0, 1e4),
    st.integers(0, 1000),
    st.booleans(),
    st.lists(st.builds(Expected, NAMES, SHARES), max_size=3).map(tuple),
)
ALARMS = st.tuples(
    PLACES,
    NAMES,
    PLACES,
    st.none() | st.floats(-1e15, 1e15),
    st.booleans(),
    SHARES,
    st.sampled_from(["largest", "counts", "rank"]),
    NAMES,
    PLACES,
    st.none() | EVENTS,
    st.lists(st.builds(CountDifference, NAMES, PLACES, PLACES), max_size=3).map(tuple),
    st.tuples(PLACES, NAMES, PLACES, PLACES, PLACES, st.none() | st.floats(-1e15, 1e15)),
)
EVENT = UnexpectedEvent("boom", 11.26, 7, True, (Expected("read", 0.701), Expected("stop", 0.2)))
PLACE = Membership(2, "unexpected: boom", 0, 1, 4, 1793440800.0)
ALARM = Alarm(3, "s1", 17, 1793527200.25, False, 0.00123456789, "largest", "s1: boom", 21, EVENT, (), PLACE)
INCIDENT = Incident(2, "unexpected: boom", 3, 5, 4, ("s1", "s2", "s3"), None, None, 60.0, 0, True)


@given(ALARMS)
def test_an_alarm_that_was_read_back_gives_the_same_bytes(fields: tuple[Any, ...]) -> None:
    """After a kill the alarm file is completed by comparing bytes."""
    *others, event, counts, place = fields
    alarm = Alarm(*[*others, event and UnexpectedEvent(*event), counts, Membership(*place)])
    line = alarm.encode()
    assert "\n" not in line
    again = Alarm.from_json(json.loads(line))
    assert again.encode() == line
    assert again.as_line() == Alarm.from_json(again.to_json()).as_line()


@pytest.mark.parametrize("notice", [ALARM, INCIDENT])
def test_a_notice_of_a_partition_names_it(notice: Alarm | Incident) -> None:
    divided = replace(notice, partition=3)
    assert divided.to_json() == notice.to_json() | {"partition": 3}
    assert type(notice).from_json(divided.to_json()).partition == 3
    assert divided.as_line() == notice.as_line().replace("incident 2", "incident 2 in partition 3")


def test_the_json_form() -> None:
    assert ALARM.to_json() == {
        "type": "alarm",
        "alarm": 3,
        "incident": 2,
        "cause": "unexpected: boom",
        "repeats": 0,
        "keys": 1,
        "earlier": 4,
        "previous": "2026-10-31T10:00:00.000Z",
        "key": "s1",
        "began": 17,
        "time": "2026-11-01T10:00:00.250Z",
        "ended": False,
        "p_value": 0.00123457,
        "speaks": "largest",
        "line": "s1: boom",
        "number": 21,
        "counts": [],
        "event": "boom",
        "bits": 11.26,
        "rank": 7,
        "new": True,
        "expected": [{"event": "read", "probability": 0.701}, {"event": "stop", "probability": 0.2}],
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (-0.5, "1969-12-31T23:59:59.500Z"),
        (253402300799.0, "9999-12-31T23:59:59.000Z"),
        (253402300800.0, "253402300800"),
        (-1e14, "-100000000000000"),
    ],
)
def test_times_outside_the_calendar_are_seconds(seconds: float, text: str) -> None:
    alarm = Alarm(1, "a", 1, seconds, True, 0.1, "largest", "", 1, None)
    assert time_text(alarm.time) == text
    assert Alarm.from_json(alarm.to_json()).time == seconds


def test_milliseconds_are_exact_in_every_century() -> None:
    for year in (1, 1900, 2026, 9999):
        start = datetime.datetime(year, 6, 1, tzinfo=datetime.UTC).timestamp()
        for milliseconds in (1, 123, 999):
            alarm = Alarm(1, "a", 1, start + milliseconds / 1000, True, 0.1, "largest", "", 1, None)
            assert time_text(alarm.time) == f"{year:04d}-06-01T00:00:00.{milliseconds:03d}Z"


def test_the_line_for_people() -> None:
    assert ALARM.as_line().split("\t") == [
        "2026-11-01T10:00:00.250Z",
        "s1",
        "p<=0.00123",
        "21: s1: boom",
        "expected read 0.70, stop 0.20; found boom (11.3 bits, new here)",
        "incident 2, again: 4 before, last at 2026-10-31T10:00:00.000Z",
    ]


def test_an_event_that_was_never_seen_is_named_in_the_line() -> None:
    alarm = replace(ALARM, membership=Membership(1, "first seen: boom", 0, 1))
    *_, reason, incident = alarm.as_line().split("\t")
    assert reason.startswith("first seen: boom; expected read 0.70")
    assert incident == "incident 1"


def test_the_line_for_people_has_no_controls() -> None:
    counts = (CountDifference("e\u202e", 3, 1),)
    alarm = Alarm(1, "k\t", 1, None, True, 0.001, "counts", "a\x1b[2J\n", 3, None, counts)
    reason = r"some events are too frequent or too rare (3 x e\u202e, normally 1)"
    assert alarm.as_line() == f"-\tk\\t\tp=0.001\t3: a\\x1b[2J\\n\t{reason}\tincident 0"
