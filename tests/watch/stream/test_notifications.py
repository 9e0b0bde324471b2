"""Notifications: targets get every committed notice, also after a kill."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.watch.notify.receivers import HANG, HttpReceiver, alarm, closed, http_receiver, wait_until
from tests.watch.stream.test_dispatcher import Target

from onward.errors import ArtefactError
from onward.watch.notify.alertmanager import Alertmanager
from onward.watch.notify.http_post import Endpoint
from onward.watch.notify.webhook import Webhook
from onward.watch.stream.delivery import AlarmDelivery
from onward.watch.stream.grouping import IncidentGrouping
from onward.watch.stream.notifications import Notifications
from onward.watch.stream.notifier import DeliveryError
from onward.watch.stream.store import Notice, WatchStore

OpenStore = Callable[[], WatchStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same file again and again; a store that is not closed before is that of a killed watch."""
    opened: list[WatchStore] = []

    def open_() -> WatchStore:
        if opened:
            opened[-1].close()
        opened.append(WatchStore(tmp_path / "watch.db"))
        return opened[-1]

    yield open_
    opened[-1].close()


def commit(store: WatchStore, *notices: Notice) -> None:
    store.add_notices(notices)
    store.commit()


def webhook(receiver: HttpReceiver, timeout: float = 30.0) -> Webhook:
    return Webhook(Endpoint(receiver.url, "--webhook", timeout), "audit")


def numbers(receiver: HttpReceiver) -> list[int]:
    return [int(name.rpartition("-")[2]) for name in receiver.names]


def test_committed_notices_are_delivered_and_the_position_is_kept(open_store: OpenStore) -> None:
    with http_receiver() as receiver:
        store = open_store()
        notifications = Notifications(store, [webhook(receiver)])
        delivery = AlarmDelivery(store, lambda _: None, notifications=notifications)
        commit(store, alarm(1))
        delivery.send()
        wait_until(lambda: notifications.to_json()[0]["waiting"] == 0)
        delivery.send()
        assert not delivery.is_due
        commit(store, closed(1))
        delivery.send()
        delivery.finish()
        store = open_store()
        again = Notifications(store, [webhook(receiver)])
        commit(store, alarm(2))
        again.take()
        again.finish()
        assert numbers(receiver) == [1, 2, 3]
        assert len({name.partition("-")[0] for name in receiver.names}) == 1  # the name of the watch


def test_what_a_target_has_taken_is_noted_while_nothing_happens() -> None:
    store, target = WatchStore(), Target(lambda _: time.sleep(0.1))
    notifications = Notifications(store, [target])
    delivery = AlarmDelivery(store, lambda _: None, notifications=notifications)
    commit(store, alarm(1))
    delivery.send()
    assert not delivery.is_due
    wait_until(lambda: delivery.is_due)
    delivery.send()
    assert not delivery.is_due
    store.close()


def test_after_a_kill_a_notice_in_delivery_is_sent_again_under_its_name(open_store: OpenStore) -> None:
    with http_receiver(200, HANG) as receiver:
        store = open_store()
        killed = Notifications(store, [webhook(receiver)])
        commit(store, alarm(1), alarm(2), alarm(3))
        killed.take()
        wait_until(lambda: len(receiver.requests) == 2 and killed.has_progress)
        killed.save()
        store.commit()
        store.add_notices([alarm(4)])  # not committed
        again = Notifications(open_store(), [webhook(receiver)])
        again.finish()
        assert numbers(receiver) == [1, 2, 2, 3]
        assert receiver.names[1] == receiver.names[2]


def test_each_target_continues_at_its_own_position(open_store: OpenStore) -> None:
    def down(_: str) -> None:
        raise DeliveryError("down")

    up, failing = Target(), Target(down)
    failing.id = "another target"
    store = open_store()
    notifications = Notifications(store, [up, failing])
    commit(store, alarm(1), alarm(2))
    notifications.take()
    notifications.finish(seconds=0.5)
    assert [name[-2:] for name in up.taken] == ["-1", "-2"]
    one, other = notifications.lines()
    assert one == "a target: 2 notices delivered"
    assert other == "a target: 0 notices delivered, 2 not delivered (the next run sends them)"
    later, repaired = Target(), Target()
    repaired.id = "another target"
    Notifications(open_store(), [later, repaired]).finish()
    assert later.taken == []
    assert [name[-2:] for name in repaired.taken] == ["-1", "-2"]


def test_a_target_that_is_new_to_a_state_gets_no_old_notices(open_store: OpenStore) -> None:
    store = open_store()
    commit(store, alarm(1), closed(1))
    target = Target()
    notifications = Notifications(store, [target])
    commit(store, alarm(2))
    notifications.take()
    notifications.finish()
    assert [name[-2:] for name in target.taken] == ["-3"]


def test_without_a_state_the_last_line_names_the_remedy() -> None:
    def down(_: str) -> None:
        raise DeliveryError("down")

    store = WatchStore()
    notifications = Notifications(store, [Target(down)])
    commit(store, alarm(1))
    notifications.take()
    notifications.finish(seconds=0.5)
    (line,) = notifications.lines()
    assert line.endswith("1 not delivered (without --state, the next run does not know them)")
    store.close()


def test_a_failed_attempt_at_the_end_is_repeated() -> None:
    failures = iter([DeliveryError("busy")])

    def busy(_: str) -> None:
        for failure in failures:
            raise failure

    store = WatchStore()
    target = Target(busy)
    notifications = Notifications(store, [target])
    commit(store, alarm(1))
    notifications.take()
    notifications.finish()
    assert len(target.taken) == 1
    store.close()


def test_a_target_that_hangs_does_not_hold_up_the_end() -> None:
    store = WatchStore()
    with http_receiver(200, 200, HANG) as receiver:
        notifications = Notifications(store, [webhook(receiver)])
        commit(store, *map(alarm, range(1, 10)))
        notifications.take()
        began = time.monotonic()
        notifications.finish(seconds=0.3)
        assert 0.3 <= time.monotonic() - began < 5
    assert [(one["delivered"], one["waiting"]) for one in notifications.to_json()] == [(2, 7)]
    store.close()


def test_if_no_later_run_can_send_notices_the_watch_ends_when_they_are_delivered() -> None:
    def slow(_: str) -> None:
        time.sleep(0.1)

    store, target = WatchStore(), Target(slow)
    notifications = Notifications(store, [target])
    commit(store, *map(alarm, range(1, 10)))
    notifications.take()
    notifications.finish(seconds=0.5)
    assert len(target.taken) == 9
    store.close()


def test_open_incidents_are_alerts_again_after_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    with http_receiver() as receiver:

        def alertmanager() -> Alertmanager:
            return Alertmanager(Endpoint(receiver.url, "--alertmanager"), "audit", repeat_seconds=60.0)

        before = Notifications(store, [alertmanager()])
        grouping = IncidentGrouping(store, quiet=10.0)
        for number, (cause, seconds) in enumerate([("first", 0.0), ("second", 9.0), ("third", 15.0)], 1):
            grouping.add(replace(alarm(number), key=cause), [cause], seconds, number)
        store.commit()
        before.take()
        before.finish()  # the incident "first" was closed
        count = len(receiver.requests)
        after = Notifications(open_store(), [alertmanager()])
        wait_until(lambda: len(receiver.requests) == count + 2)
        after.finish()
        repeated = [alert["labels"]["cause"] for body in receiver.bodies[count:] for alert in body]
        assert sorted(repeated) == ["second", "third"]


@pytest.mark.parametrize("value", ["[]", '{"a target": -1}', '{"a target": "x"}', '{"a target": 1e400}'])
def test_damaged_positions_are_reported(value: str, open_store: OpenStore, tmp_path: Path) -> None:
    store = open_store()
    Notifications(store, [Target()]).finish()
    store.close()
    with sqlite3.connect(tmp_path / "watch.db") as database:
        database.execute("update facts set value = ? where name = 'targets'", [value])
    database.close()
    with pytest.raises(ArtefactError, match=r"the value of targets in .* is damaged"):
        Notifications(open_store(), [Target()])


def test_a_position_beyond_the_last_notice_loses_none(open_store: OpenStore) -> None:
    store = open_store()
    store.set_fact("targets", {"a target": 10**6})
    target = Target()
    notifications = Notifications(store, [target])
    commit(store, alarm(1))
    notifications.take()
    notifications.finish()
    assert [name[-2:] for name in target.taken] == ["-1"]
