"""A small detector, and records for it."""

import random
from collections.abc import Callable

import pytest

from onward.watch.detector import Detector
from onward.watch.input.format import InputFormat
from onward.watch.input.records import Record
from onward.watch.training import LearnSettings, learn_detector


def normal(chance: random.Random) -> list[str]:
    """Returns the events of a normal session."""
    middle = ["read" if chance.random() < 0.7 else "write" for _ in range(chance.randrange(2, 6))]
    return ["start", *middle, "sync", "stop"]


def anomalous(chance: random.Random) -> list[str]:
    """Returns the events of an anomalous session."""
    return chance.choice([["start", "read", "stop"], ["start", "boom", "read", "sync", "stop"], ["stop"]])


@pytest.fixture(scope="session")
def detector() -> Detector:
    """A detector of such sessions in CSV lines, with a false-alarm rate of 3 %."""
    chance = random.Random(0)
    source = InputFormat(form="csv", key="key", event=("event",), time="time")
    return learn_detector(
        [normal(chance) for _ in range(400)],
        LearnSettings(held_out=0.5, steps=40, rate=0.03),
        source={"reader": source.to_json(), "templates": None},
    )


@pytest.fixture
def records() -> Callable[..., list[Record]]:
    """Makes records of interleaved sessions, a second apart; one session in `odd` is anomalous."""

    def make(sessions: int, odd: int = 5, seed: int = 0, at_once: int = 8) -> list[Record]:
        chance = random.Random(seed)
        waiting = [
            (f"s{i}", anomalous(chance) if chance.random() < 1 / odd else normal(chance))
            for i in range(sessions)
        ]
        begun: list[tuple[str, list[str]]] = []
        found: list[Record] = []
        while waiting or begun:
            if waiting and len(begun) < at_once:
                begun.append(waiting.pop(0))
            key, events = begun[chance.randrange(len(begun))]
            number = len(found) + 1
            event = events.pop(0)
            found.append(Record(key, event, float(number), f"{key} line {number}", number, not events))
            if not events:
                begun.remove((key, events))
        return found

    return make
