"""The event clock: the steps in time that it accepts, and the records that wait for them."""

import json
import random

import pytest

from onward.watch.input.records import Record
from onward.watch.stream.event_clock import CONFIRMED, RELEASE_SECONDS, EventClock


def record(number: int, time: float | None) -> Record:
    return Record("a", "open", time, "", number)


def moments(clock: EventClock, *times: float) -> list[tuple[float, ...]]:
    """Returns, for the record of each time, the clock times of the records that are no longer in doubt."""
    return [tuple(now for _, now in clock.take(record(i, time))) for i, time in enumerate(times)]


def test_small_steps_are_accepted_and_the_clock_never_runs_back() -> None:
    assert moments(EventClock(100.0), 5.0, 15.0, 10.0, 20.0, 120.0) == [(0,), (10,), (10,), (15,), (115,)]


def test_a_confirmed_jump_is_accepted_from_its_first_record() -> None:
    clock = EventClock(100.0)
    found = moments(clock, 0.0, *(1000.0 + i for i in range(CONFIRMED)), 1010.0)
    assert found[1:CONFIRMED] == [()] * (CONFIRMED - 1)
    assert found[CONFIRMED:] == [tuple(1000.0 + i for i in range(CONFIRMED)), (1010.0,)]


def test_a_jump_that_the_next_record_contradicts_takes_no_time() -> None:
    assert moments(EventClock(100.0), 0.0, 1000.0, 5000.0, 10.0) == [(0,), (), (), (0, 0, 10)]


def test_one_wrong_time_after_a_silence_does_not_set_its_length() -> None:
    clock = EventClock(100.0)
    found = moments(clock, 0.0, 1000.0, 4e9, *(1001.0 + i for i in range(CONFIRMED)))
    assert max(now for part in found for now in part) == clock.now == 1000.0 + CONFIRMED


def test_a_step_as_long_as_the_wait_is_accepted_at_once() -> None:
    clock = EventClock(100.0)
    clock.take(record(1, 0.0))
    clock.wait(950.0)
    assert moments(clock, 1000.0, 5000.0) == [(1000.0,), ()]
    assert clock.wait(RELEASE_SECONDS - 1) == []
    assert [now for _, now in clock.wait(1.0)] == [5000.0]
    assert clock.now == 1000.0


@pytest.mark.parametrize("seed", range(20))
def test_each_record_is_returned_once_in_order_across_restarts(seed: int) -> None:
    chance, clock, time = random.Random(seed), EventClock(100.0), 0.0
    whole, restored, fed = EventClock(100.0), list[tuple[Record, float]](), list[Record]()
    unbroken: list[tuple[Record, float]] = []
    for number in range(300):
        time += chance.choice([0, 1, 50, -20, 0, 1]) + (chance.random() < 0.03) * chance.choice([1e5, -1e5])
        odd = chance.choice([4e9, -4e9]) if chance.random() < 0.1 else 0.0
        fed.append(record(number, time + odd if chance.random() < 0.98 else None))
        restored += clock.take(fed[-1])
        unbroken += whole.take(fed[-1])
        assert len(clock.held) < CONFIRMED
        saved = json.loads(json.dumps(clock.to_json()))
        clock = EventClock(100.0)
        clock.restore(saved)
    restored += clock.release()
    assert restored == unbroken + whole.release()
    assert [known for known, _ in restored] == fed


def test_the_first_large_step_is_reported_once_across_restarts() -> None:
    messages: list[str] = []
    clock = EventClock(100.0, messages.append)
    moments(clock, 0.0, 1e9, 1.0, -1e9)
    assert len(messages) == 1
    assert messages[0].startswith(
        "line 1: the time differs by more than 100 seconds from the times before it"
    )
    restored = EventClock(100.0, messages.append)
    restored.restore(clock.to_json())
    moments(restored, 1e9)
    assert len(messages) == 1
