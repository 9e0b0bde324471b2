"""Records to send to a server with a detector, and helpers that send them."""

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
from tests.serve.conftest import Server, normal

GOOD = ["start", "read", "write", "sync", "stop"]
BAD = ["start", "boom", "read", "sync", "stop"]


def sent(server: Server, **body: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/watch", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(server: Server, status: int, **body: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/watch", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def mixed(sessions: int, seed: int = 0) -> list[dict[str, Any]]:
    """Returns the records of interleaved sessions. One session in five is an anomaly."""
    chance = random.Random(seed)
    waiting = [(f"s{i}", list(BAD) if chance.random() < 0.2 else normal(chance)) for i in range(sessions)]
    begun: list[tuple[str, list[str]]] = []
    found: list[dict[str, Any]] = []
    while waiting or begun:
        if waiting and len(begun) < 8:
            begun.append(waiting.pop(0))
        key, events = begun[chance.randrange(len(begun))]
        found.append({"key": key, "event": events.pop(0), "time": 1e9 + len(found), "last": not events})
        if not events:
            begun.remove((key, events))
    return found


class listening:  # noqa: N801 - used as a context
    """Streams the events of a server's alarms."""

    def __init__(self, server: Server, **options: Any) -> None:
        self._stream = server.client.stream("GET", "/v1/watch/alarms?stream=true", **options)

    def __enter__(self) -> Iterator[dict[str, Any]]:
        answer = self._stream.__enter__()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return self._events(answer)

    def __exit__(self, *error: Any) -> None:
        self._stream.__exit__(*error)

    def _events(self, answer: httpx.Response) -> Iterator[dict[str, Any]]:
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = json.loads(value) if name == "data" else value
            elif not line and event:
                yield event
                event = {}
