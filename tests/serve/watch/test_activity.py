"""The activity of a detector: bounded in time and in names, and found again."""

import json

import pytest

from onward.serve.watch.activity import MOST_EVENTS, MOST_SLOTS, WIDEST, Activity
from onward.watch.input.records import Record
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.features import Verdict
from onward.watch.stream.alarms import Alarm, Membership

KNOWN = EventVocabulary.of([["start", "read", "stop"]])


def verdict(length: int, bits: float) -> Verdict:
    return Verdict("s", 0.5, False, 1.0, {}, "mean", length, bits)


def alarm(repeats: int) -> Alarm:
    return Alarm(1, "s", 1, None, True, 0.001, "top", "", 1, None, (), Membership(1, "boom", repeats, 1))


def record(event: str) -> Record:
    return Record("s", event, None, event, 1, False)


def filled(*times: float) -> Activity:
    activity = Activity()
    for time in times:
        activity.note(time, [record("read")], [verdict(2, 1.5)], [], KNOWN)
    return activity


def test_surprise_is_a_mean_over_events() -> None:
    activity = Activity()
    activity.note(10.2, [], [verdict(1, 9.0), verdict(3, 1.0)], [alarm(0), alarm(1)], KNOWN)
    activity.note(10.9, [], [verdict(4, 1.0)], [], KNOWN)
    activity.note(12.0, [], [], [alarm(2)], KNOWN)
    found = activity.to_json()
    assert found["seconds"] == 1
    assert [tuple(slot.values()) for slot in found["timeline"]] == [
        ("1970-01-01T00:00:10.000Z", 3, 2.0, 2, 1),
        ("1970-01-01T00:00:12.000Z", 0, None, 1, 0),
    ]


def test_slots_widen_until_the_oldest_are_dropped() -> None:
    found = filled(*map(float, range(2 * MOST_SLOTS))).to_json()
    assert found["seconds"] == 2
    assert [slot["sequences"] for slot in found["timeline"]] == [2] * MOST_SLOTS
    times = [WIDEST * i + 0.5 for i in range(2 * MOST_SLOTS)]
    found = filled(*times).to_json()
    assert found["seconds"] == WIDEST
    assert len(found["timeline"]) == MOST_SLOTS
    assert sum(slot["sequences"] for slot in found["timeline"]) == MOST_SLOTS  # the later half


def test_events_are_counted_with_the_times_of_the_first_and_the_last() -> None:
    activity = Activity()
    activity.note(1.0, [record("read"), record("boom")], [], [], KNOWN)
    activity.note(2.0, [record("read"), record("stop")], [], [], KNOWN)
    assert [tuple(event.values()) for event in activity.to_json()["events"]] == [
        ("stop", 1, True, "1970-01-01T00:00:02.000Z", "1970-01-01T00:00:02.000Z"),
        ("read", 2, True, "1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z"),
        ("boom", 1, False, "1970-01-01T00:00:01.000Z", "1970-01-01T00:00:01.000Z"),
    ]


def test_the_number_of_events_is_limited() -> None:
    activity = Activity()
    activity.note(1.0, [record(f"{i} " + "x" * 500) for i in range(MOST_EVENTS + 7)], [], [], KNOWN)
    found = activity.to_json()
    assert (len(found["events"]), found["others"]) == (MOST_EVENTS, 7)
    assert max(len(event["event"]) for event in found["events"]) == 200


def test_single_bytes_are_not_counted() -> None:
    activity = Activity()
    activity.note(1.0, [record("a line")], [], [], EventVocabulary(None))
    assert activity.to_json()["events"] == []


def test_an_activity_is_found_again() -> None:
    activity = filled(*map(float, range(0, 1000, 3)))
    stored = json.loads(json.dumps(activity.to_stored(), allow_nan=False))
    assert Activity.from_stored(stored).to_json() == activity.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": WIDEST + 1},
        {"slots": [[1, 1, 1, float("nan"), 0, 0]]},
        {"slots": [[i, 1, 1, 1.0, 0, 0] for i in range(MOST_SLOTS + 1)]},
        {"events": [["read", -1, True, 0.0, 0.0]]},
        {"events": [["read", 1, True, 1e300, 0.0]]},
        {"others": None},
        {"more": 1},
    ],
)
def test_a_damaged_activity_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Activity.from_stored(filled(1.0).to_stored() | change)
