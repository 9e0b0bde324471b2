"""Sessions of a server in a stream, and the alarms about them."""

import json
import random
from pathlib import Path
from typing import Any

from tests.cli.sessions import session

ANOMALOUS = (["start", "stop"], ["start", "boom", "stop"], ["stop", "read", "start"])


def events(sessions: int) -> list[tuple[str, bytes]]:
    """Returns keys and JSON lines of interleaved sessions; one in ten is anomalous."""
    chance, begun, found = random.Random(0), list[tuple[str, list[str]]](), list[tuple[str, bytes]]()
    waiting = [f"s{i}" for i in range(sessions)]
    while waiting or begun:
        if waiting and len(begun) < 20:
            rest = list(chance.choice(ANOMALOUS)) if chance.random() < 0.1 else session(chance)
            begun.append((waiting.pop(0), rest))
        key, rest = begun[chance.randrange(len(begun))]
        found.append((key, json.dumps({"key": key, "event": rest.pop(0)}).encode()))
        if not rest:
            begun.remove((key, rest))
    return found


def alarms_in(path: Path) -> list[dict[str, Any]]:
    """Returns the notices in a file of alarms."""
    return [json.loads(line) for line in path.read_text().splitlines()]
