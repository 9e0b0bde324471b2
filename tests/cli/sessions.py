"""Sessions of a server as JSON lines, for the commands of `onward watch`."""

import json
import random
from collections.abc import Sequence


def session(chance: random.Random) -> list[str]:
    """Returns a normal session."""
    middle = ["read" if chance.random() < 0.7 else "write" for _ in range(chance.randrange(2, 6))]
    return ["start", *middle, "sync", "stop"]


def rows(sessions: Sequence[list[str]]) -> str:
    """Returns the events of sessions as JSON lines; the keys are s0, s1, ..."""
    return "".join(
        json.dumps({"key": f"s{i}", "event": event}) + "\n"
        for i, part in enumerate(sessions)
        for event in part
    )
