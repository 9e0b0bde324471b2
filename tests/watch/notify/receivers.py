"""Servers that take notices, and misbehave as a test asks."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from onward.watch.scoring.features import Expected
from onward.watch.stream.alarms import Alarm, Membership, UnexpectedEvent
from onward.watch.stream.incidents import Incident

HANG, CLOSE, GARBAGE = "hang", "close", "garbage"


@dataclass
class HttpReceiver:
    """An HTTP server on a free port.

    Attributes:
        answers: what it does with the next requests: a status, HANG, CLOSE or GARBAGE; then 200.
        headers: further headers of its responses.
        requests: path, headers and body of each request that it read.
        released: set at the end, for requests that hang.
    """

    answers: list[int | str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, Message, bytes]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.requests]

    @property
    def names(self) -> list[str]:
        return [str(headers["Idempotency-Key"]) for _, headers, _ in self.requests]


@contextmanager
def http_receiver(*answers: int | str, **headers: str) -> Iterator[HttpReceiver]:
    receiver = HttpReceiver(list(answers), {name.replace("_", "-"): value for name, value in headers.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            receiver.requests.append((self.path, self.headers, b""))
            self.send_error(405)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, self.headers, body))
            answer = receiver.answers.pop(0) if receiver.answers else 200
            self.close_connection = True
            if answer == HANG:
                receiver.released.wait(60)
            elif answer == GARBAGE:
                self.wfile.write(b"this is no HTTP\r\n\r\n")
            elif isinstance(answer, int):
                self.send_response(answer)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(seen: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def alarm(number: int, incident: int | None = None, *, repeats: int = 0, time: float | None = None) -> Alarm:
    """Returns an alarm; by default, it opens the incident of the same number."""
    event = UnexpectedEvent("boom", 9.5, 3, True, (Expected("read", 0.75), Expected("write", 0.25)))
    place = Membership(number if incident is None else incident, "first seen: boom", repeats, 1)
    return Alarm(number, "s1", 7, time, False, 0.001, "top", 'b"oo]m\\', 9, event, (), place)


def closed(number: int, opened_by: int | None = None) -> Incident:
    """Returns an incident that was closed."""
    opening = number if opened_by is None else opened_by
    return Incident(number, "first seen: boom", opening, 5, 4, ("s1", "s2", "s3"), None, None, 60.0, 0, True)
