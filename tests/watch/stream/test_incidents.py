"""Incidents: alarms with the same cause or key, close in time, are reported once."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.grouping import IncidentGrouping
from onward.watch.stream.incidents import Incident
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.store import WatchStore

QUIET = 100.0
NORMAL = ["start", "read", "write", "sync", "stop"]
SHORT = ["stop"]
RAISED = st.lists(
    st.tuples(
        st.sampled_from(["first seen: a", "first seen: b", "unexpected: c", "unexpected: d", "too few: c"]),
        st.sampled_from(["k1", "k2", "k3", ""]),
        st.integers(0, 150).map(float),
    ),
    max_size=60,
)
"""Causes, keys, and seconds since the alarm before."""


def grouped(
    store: WatchStore, raised: Iterable[tuple[str, str, float]], remembered: int = 1000
) -> list[Alarm]:
    """Returns alarms in their incidents."""
    grouping, now, found, opened = IncidentGrouping(store, QUIET, remembered), 0.0, list[Alarm](), 0
    for number, (cause, key, seconds) in enumerate(raised, 1):
        now += seconds
        alarm = Alarm(number, key, number, now, True, 0.001, "top", "a line", number, None)
        placed = grouping.add(alarm, [cause], now, opened + 1)
        assert placed
        found.append(placed)
        opened += placed.is_news
    return found


@given(RAISED)
def test_every_alarm_belongs_to_exactly_one_incident(raised: list[tuple[str, str, float]]) -> None:
    store = WatchStore()
    alarms = grouped(store, raised)
    assert [notice for notice in store.outbox() if isinstance(notice, Alarm)] == alarms
    members = defaultdict[int, list[Alarm]](list)
    for alarm in alarms:
        members[alarm.membership.incident].append(alarm)
    incidents = store.last_incidents(1000)
    assert [incident.number for incident in incidents] == sorted(members) == [*range(1, len(members) + 1)]
    for incident in incidents:
        own = members[incident.number]
        assert [alarm.membership.repeats for alarm in own] == [*range(len(own))]
        assert [alarm.is_news for alarm in own] == [True] + [False] * (len(own) - 1)
        assert {alarm.membership.cause for alarm in own} == {incident.cause}
        assert (incident.alarms, incident.alarm) == (len(own), own[0].number)
        assert incident.keys == own[-1].membership.keys == len({alarm.key for alarm in own})
        assert set(incident.names) <= {alarm.key for alarm in own}
        assert len(incident.names) == min(incident.keys, 3)
        assert (incident.first, incident.last) == (own[0].time, own[-1].time)
        if not incident.cause.startswith("first seen"):
            times = [alarm.time or 0.0 for alarm in own]
            assert all(b - a <= QUIET for a, b in itertools.pairwise(times))
    causes = [incident.cause for incident in incidents if incident.cause.startswith("first seen")]
    assert len(causes) == len(set(causes))


@given(RAISED)
def test_each_incident_is_closed_once(raised: list[tuple[str, str, float]]) -> None:
    store = WatchStore()
    grouped(store, raised)
    IncidentGrouping(store, QUIET).close_all()
    closed = [notice for notice in store.outbox() if isinstance(notice, Incident)]
    assert sorted(incident.number for incident in closed) == [
        incident.number for incident in store.last_incidents(1000)
    ]
    assert all(incident.closed for incident in closed)


def test_a_cause_that_comes_again_says_so() -> None:
    store = WatchStore()
    alarms = grouped(store, [("unexpected: c", "k1", 1.0), ("unexpected: c", "k2", 50.0)])
    assert [alarm.membership.incident for alarm in alarms] == [1, 1]
    alarms = grouped(WatchStore(), [("unexpected: c", f"k{i}", 200.0) for i in range(3)])
    assert [alarm.membership.incident for alarm in alarms] == [1, 2, 3]
    assert [alarm.membership.earlier for alarm in alarms] == [0, 1, 2]
    assert [alarm.membership.previous for alarm in alarms] == [None, 200.0, 400.0]
    assert alarms[-1].as_line().endswith("incident 3, again: 2 before, last at 1970-01-01T00:06:40.000Z")


def test_one_source_in_trouble_is_one_incident_but_hides_nothing_of_others() -> None:
    first, second = ("unexpected: c", "k1", 1.0), ("unexpected: d", "k1", 1.0)
    assert [a.membership.incident for a in grouped(WatchStore(), [first, second])] == [1, 1]
    shared = [first, ("unexpected: c", "k2", 1.0), second]
    assert [a.membership.incident for a in grouped(WatchStore(), shared)] == [1, 1, 2]
    new = [first, ("first seen: a", "k1", 1.0)]
    assert [a.membership.incident for a in grouped(WatchStore(), new)] == [1, 2]
    no_key = [("unexpected: c", "", 1.0), ("unexpected: d", "", 1.0)]
    assert [a.membership.incident for a in grouped(WatchStore(), no_key)] == [1, 2]


def test_a_bounded_number_of_causes_is_remembered() -> None:
    store = WatchStore()
    raised = [(f"first seen: {i}", f"k{i}", 1.0) for i in range(50)]
    alarms = grouped(store, [*raised, ("first seen: 48", "k", 1.0), ("first seen: 0", "k", 1.0)], 10)
    assert [alarm.is_news for alarm in alarms] == [True] * 50 + [False, True]
    incidents = store.last_incidents(1000)
    assert len(incidents) == 10
    forgotten = {notice.number for notice in store.outbox() if isinstance(notice, Incident)}
    assert forgotten == {*range(1, 42)}


def test_the_line_of_a_closed_incident() -> None:
    incident = Incident(3, "first seen: boom", 7, 1471, 12, ("a", "b", "c"), 0.0, 7999.5, 7999.5, 0, True)
    assert incident.as_line().split("\t") == [
        "1970-01-01T02:13:19.500Z",
        "a, b, c and 9 more",
        "closed",
        "1,471 alarms in 2h 13m",
        "first seen: boom",
        "incident 3",
    ]
    assert Incident.from_json(incident.to_json()) == incident


def sessions(events: Iterable[Sequence[str]], began: float = 0.0, step: float = 1.0) -> list[Record]:
    """Returns the records of sessions that follow each other; each has its own key."""
    found: list[Record] = []
    for i, session in enumerate(events):
        for j, event in enumerate(session):
            time, number = began + len(found) * step, len(found) + 1
            key = f"s{began:.0f}-{i}"
            found.append(Record(key, event, time, f"{event} of {key}", number, j == len(session) - 1))
    return found


def watched(monitor: Monitor, records: list[Record]) -> list[Alarm]:
    alarms = monitor.feed(records)
    monitor.commit()
    return alarms


@pytest.mark.slow
def test_thousands_of_a_few_new_kinds_are_a_few_incidents(detector: Detector) -> None:
    chance = random.Random(0)
    kinds = ["panic", "flush", "evict"]
    monitor = Monitor(detector, idle=QUIET)
    alarms = watched(monitor, sessions(["start", chance.choice(kinds), "stop"] for _ in range(1500)))
    assert len(alarms) == 1500
    news = [alarm.membership.cause for alarm in alarms if alarm.is_news]
    assert sorted(news) == sorted(f"first seen: {kind}" for kind in kinds)
    assert monitor.counts.incidents == 3


def test_new_kinds_of_lines_are_told_apart(detector: Detector) -> None:
    """By templates, a line of a new kind is its text without numbers."""
    events = [("disk <*> lost", f"disk {i} lost") for i in range(5)] + [
        ("fan <*> of <*> stopped", f"fan {i} of 9 stopped") for i in range(5)
    ]
    records = [Record(str(i), event, None, line, i, last=True) for i, (event, line) in enumerate(events)]
    alarms = Monitor(detector).feed(records)
    assert [alarm.membership.cause for alarm in alarms if alarm.is_news] == [
        "first seen: disk <*> lost",
        "first seen: fan <*> of <*> stopped",
    ]


def test_a_second_new_kind_in_a_sequence_is_reported_when_the_first_is_known(detector: Detector) -> None:
    monitor = Monitor(detector, idle=QUIET)
    alarms = watched(monitor, sessions([["panic", "flush"], ["panic", "flush"]]))
    assert [alarm.membership.cause for alarm in alarms] == ["first seen: panic"] * 2
    alarms = watched(monitor, sessions([["flush", "panic"]], began=50.0))
    assert [(alarm.membership.cause, alarm.is_news) for alarm in alarms] == [("first seen: flush", True)]


@pytest.mark.parametrize(
    "size", [*(pytest.param(size, marks=pytest.mark.slow) for size in (1, 9)), 100, 10_000]
)
def test_incidents_close_when_they_are_quiet_and_continue_after_restarts(
    size: int, detector: Detector, tmp_path: Path
) -> None:
    day = [NORMAL] * 3 + [SHORT, ["panic", "stop"]] + [NORMAL] * 90
    records = [record for i in range(3) for record in sessions(day, 1000.0 * i)]
    opened = list[str]()
    for start in range(0, len(records), size):
        store = WatchStore(tmp_path / "watch.db")
        monitor = Monitor(detector, store, idle=QUIET)
        alarms = watched(monitor, records[start : start + size])
        opened += [alarm.membership.cause for alarm in alarms if alarm.is_news]
        store.close()
    store = WatchStore(tmp_path / "watch.db")
    notices = store.outbox()
    unexpected = [cause for cause in opened if not cause.startswith("first seen")]
    assert opened.count("first seen: panic") == 1
    assert len(unexpected) == 3 and len(set(unexpected)) == 1
    places = [notice.membership for notice in notices if isinstance(notice, Alarm)]
    assert [place.earlier for place in places if place.cause == unexpected[0]] == [0, 1, 2]
    closed = [notice for notice in notices if isinstance(notice, Incident)]
    assert sorted(incident.number for incident in closed) == [1, 2, 3, 4]
    panics = next(incident for incident in store.last_incidents(9) if incident.cause == "first seen: panic")
    assert (panics.alarms, panics.keys, panics.closed) == (3, 3, True)
    store.close()


def test_waiting_closes_incidents(detector: Detector) -> None:
    monitor = Monitor(detector, idle=QUIET)
    assert watched(monitor, sessions([SHORT]))
    monitor.wait(QUIET / 2)
    assert not store_has_closed(monitor)
    monitor.wait(QUIET)
    assert store_has_closed(monitor)


def store_has_closed(monitor: Monitor) -> bool:
    return any(isinstance(notice, Incident) for notice in monitor.store.outbox())


def test_an_alarm_that_may_open_no_incident_only_joins_one() -> None:
    store = WatchStore()
    grouping = IncidentGrouping(store, QUIET)

    def add(number: int, cause: str, seconds: float, *, may_open: bool) -> Alarm | None:
        alarm = Alarm(number, "k", number, seconds, True, 0.001, "top", "a line", number, None)
        return grouping.add(alarm, [cause], seconds, number, may_open=may_open)

    assert add(1, "unexpected: c", 1.0, may_open=False) is None
    assert not store.outbox() and not store.last_incidents(1)
    assert add(1, "unexpected: c", 1.0, may_open=True)
    joined = add(2, "unexpected: c", 2.0, may_open=False)
    assert joined and (joined.membership.incident, joined.is_news) == (1, False)
    assert add(3, "unexpected: c", 3.0 + QUIET, may_open=False) is None
    assert store.last_incidents(1)[0].closed
