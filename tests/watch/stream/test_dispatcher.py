"""The thread of a target: retries, bounded queue, repeated alerts, and an end in time."""

import itertools
import threading
import time
from collections.abc import Callable

import pytest
from tests.watch.notify.receivers import CLOSE, HANG, alarm, closed, http_receiver, wait_until

from onward.watch.notify.http_post import Endpoint
from onward.watch.notify.webhook import Webhook
from onward.watch.stream import dispatcher as module
from onward.watch.stream.dispatcher import Dispatcher
from onward.watch.stream.notifier import DeliveryError
from onward.watch.stream.store import Notice


class Target:
    """A notifier that keeps what it takes. `fail` may raise before it takes a notice."""

    id = target = "a target"

    def __init__(
        self, fail: Callable[[str], None] = lambda _: None, repeat_seconds: float | None = None
    ) -> None:
        self.repeat_seconds = repeat_seconds
        self.taken: list[str] = []
        self._fail = fail

    def send(self, name: str, notice: Notice) -> None:
        self._fail(name)
        self.taken.append(name)


def dispatcher(
    target: Target | Webhook, said: list[str] | None = None, position: int = 0, delay: float = 0.01
) -> Dispatcher:
    said = [] if said is None else said
    return Dispatcher(target, "w", position, [], said.append, first_delay=delay)


def test_notices_are_sent_in_order_and_only_news() -> None:
    target = Target()
    sending = dispatcher(target, position=1)
    for number, notice in enumerate((alarm(1), alarm(2), alarm(3, 2, repeats=1), closed(2), alarm(5)), 1):
        sending.add(number, notice)
    wait_until(lambda: sending.position == 5)
    assert target.taken == ["w-2", "w-4", "w-5"]
    assert vars(sending.counts) == {"delivered": 3, "failures": 0, "dropped": 0}
    sending.stop()
    wait_until(lambda: not sending.is_running)


def test_adding_never_waits_for_a_target_that_hangs() -> None:
    with http_receiver(HANG) as receiver:
        sending = dispatcher(Webhook(Endpoint(receiver.url, "--webhook", 30.0), "audit"))
        began = time.monotonic()
        for number in range(1, 200):
            sending.add(number, alarm(number))
        assert time.monotonic() - began < 1
        assert (sending.position, sending.waiting) == (0, 199)
        sending.stop()


def test_failures_are_repeated_under_one_name_and_reported_once() -> None:
    said: list[str] = []
    with http_receiver(500, CLOSE, 503, 302, 200) as receiver:
        sending = dispatcher(Webhook(Endpoint(receiver.url, "--webhook"), "audit"), said)
        sending.add(1, alarm(1))
        sending.add(2, closed(1))
        wait_until(lambda: sending.position == 2)
    assert receiver.names == ["w-1"] * 5 + ["w-2"]
    assert vars(sending.counts) == {"delivered": 2, "failures": 4, "dropped": 0}
    assert said == [
        f"cannot deliver to {receiver.url}: got status 500; trying again",
        f"{receiver.url} works again: delivery continues",
    ]


def test_a_notice_that_is_refused_does_not_hold_up_the_others() -> None:
    said: list[str] = []
    with http_receiver(400) as receiver:
        sending = dispatcher(Webhook(Endpoint(receiver.url, "--webhook"), "audit"), said)
        sending.add(1, alarm(1))
        sending.add(2, alarm(2))
        wait_until(lambda: sending.position == 2)
    assert receiver.names == ["w-1", "w-2"]
    assert vars(sending.counts) == {"delivered": 1, "failures": 1, "dropped": 1}
    assert said == [f"{receiver.url} refuses notice w-1: got status 400"]


def test_delays_grow_with_jitter_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.16)
    times: list[float] = []

    def fail(_: str) -> None:
        times.append(time.monotonic())
        if len(times) < 7:
            raise DeliveryError("down")

    sending = dispatcher(Target(fail), delay=0.02)
    sending.add(1, alarm(1))
    wait_until(lambda: sending.position == 1)
    delays = [later - earlier for earlier, later in itertools.pairwise(times)]
    for delay, most in zip(delays, (0.02, 0.04, 0.08, 0.16, 0.16, 0.16), strict=True):
        assert most / 2 <= delay < most + 0.3


def test_a_target_may_ask_for_a_longer_delay() -> None:
    times: list[float] = []

    def fail(_: str) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise DeliveryError("busy", wait=0.2)

    sending = dispatcher(Target(fail), delay=0.001)
    sending.add(1, alarm(1))
    wait_until(lambda: sending.position == 1)
    assert times[1] - times[0] >= 0.2


def test_a_full_queue_drops_the_oldest_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE", 3)
    up, said = threading.Event(), list[str]()

    def fail(_: str) -> None:
        if not up.is_set():
            raise DeliveryError("down")

    target = Target(fail)
    sending = dispatcher(target, said)
    for number in range(1, 9):
        sending.add(number, alarm(number))
    assert sending.waiting == 3
    up.set()
    wait_until(lambda: sending.position == 8)
    assert target.taken == ["w-6", "w-7", "w-8"]
    assert (sending.counts.delivered, sending.counts.dropped) == (3, 5)
    assert sum("more than 3 notices wait; the oldest are dropped" in line for line in said) == 1


def test_at_the_end_what_waits_is_tried_once_more() -> None:
    is_up = threading.Event()

    def fail(_: str) -> None:
        if not is_up.is_set():
            raise DeliveryError("down")

    for up_at_the_end, expected in ((True, 2), (False, 0)):
        is_up.clear()
        sending = dispatcher(Target(fail), delay=60.0)
        sending.add(1, alarm(1))
        sending.add(2, alarm(2))
        wait_until(lambda sending=sending: sending.counts.failures == 1)
        if up_at_the_end:
            is_up.set()
        sending.stop()
        wait_until(lambda sending=sending: not sending.is_running)
        assert sending.position == expected
        assert sending.waiting == 2 - expected


def test_open_incidents_are_sent_again_until_they_are_closed() -> None:
    target = Target(repeat_seconds=0.05)
    sending = Dispatcher(target, "w", 3, [(3, alarm(3))], lambda _: None)
    sending.add(4, alarm(4))
    wait_until(lambda: target.taken.count("w-3") > 2 and target.taken.count("w-4") > 2)
    sending.add(5, closed(3))
    sending.add(6, closed(4))
    wait_until(lambda: sending.position == 6)
    count = len(target.taken)
    time.sleep(0.2)
    assert len(target.taken) == count
    assert sending.counts.delivered == 3  # repeats do not count


def test_an_incident_whose_closing_was_dropped_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE", 1)
    is_down = threading.Event()

    def fail(_: str) -> None:
        if is_down.is_set():
            raise DeliveryError("down")

    target = Target(fail, repeat_seconds=0.05)
    sending = dispatcher(target)
    sending.add(1, alarm(1))
    wait_until(lambda: sending.position == 1)
    is_down.set()
    sending.add(2, closed(1))
    sending.add(3, alarm(2))
    is_down.clear()
    wait_until(lambda: target.taken.count("w-3") > 2)
    assert "w-1" not in target.taken[target.taken.index("w-3") + 1 :]
    assert sending.counts.dropped == 1
    sending.stop()


def test_an_incident_whose_repeat_is_refused_is_given_up() -> None:
    sent: list[str] = []

    def fail(name: str) -> None:
        sent.append(name)
        if len(sent) > 1:
            raise DeliveryError("got status 400", is_final=True)

    sending = dispatcher(Target(fail, repeat_seconds=0.02))
    sending.add(1, alarm(1))
    wait_until(lambda: len(sent) == 2)
    time.sleep(0.1)
    assert sent == ["w-1", "w-1"]
    sending.stop()
