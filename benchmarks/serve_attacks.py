"""How long do other clients wait while one client sends the most expensive requests?

    python benchmarks/serve_attacks.py MODEL [ATTACK ...] [--keys 20]

Each attack has a server of its own, with the model, a small detector and a corpus of equal letters. A typist
types at the given rate before, during and after the attack. The figures are the time from the moment when a
key was due to its answer, the size of the attack's answers, its duration, and the server's memory.
"""

import asyncio
import base64
import contextlib
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from record import command_line, record
from serve_load import Connection, Server, request, start
from watch_faults import learn

SETTLE_SECONDS = 2.0
LONGEST_SECONDS = 120.0
PROMPT = 65_536
CORPUS_BYTES = 20_000_000
IDLE_KEYS = 300_000
EVENTS = 40_000
SESSIONS = 300
TEXT = 200_000
FLOOD_SECONDS = 6.0


class Site(NamedTuple):
    """What an attack can see.

    Attributes:
        server: the attacked server.
        stop: set when the attack should end.
        folder: holds the state of the server.
    """

    server: Server
    stop: threading.Event
    folder: Path


Attack = Callable[[Site], dict[str, Any]]


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--keys", type=float, default=20)
    arguments = parser.parse_args()
    if unknown := set(arguments.attacks) - set(ATTACKS):
        sys.exit(f"expected attacks among {', '.join(ATTACKS)}, got {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as folder:
        detector, corpus = Path(folder, "audit.onward"), Path(folder, "equal.txt")
        learn(detector)
        corpus.write_text("a" * CORPUS_BYTES)
        for name in arguments.attacks or ATTACKS:
            paths = (arguments.model, detector, corpus)
            record("serve_attacks", {"attack": name} | attacked(ATTACKS[name], paths, arguments.keys))


def attacked(attack: Attack, paths: tuple[Path, Path, Path], keys: float) -> dict[str, Any]:
    """Runs an attack, and returns its figures and those of the typist."""
    model, detector, corpus = paths
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "state.db")
        server = start(model, detector, "--corpus", corpus, "--state", state, "--idle", "4s")
        try:
            site = Site(server, threading.Event(), Path(folder))
            return asyncio.run(_measured(attack, site, keys))
        finally:
            server.process.kill()
            server.process.wait()


async def _measured(attack: Attack, site: Site, keys: float) -> dict[str, Any]:
    times: list[tuple[float, float]] = []
    typist = asyncio.create_task(_type(site.server, keys, times))
    await asyncio.sleep(SETTLE_SECONDS)
    before, begun = site.server.megabytes(), time.perf_counter()
    working = asyncio.create_task(asyncio.to_thread(attack, site))
    peak = before
    while not working.done():
        await asyncio.wait({working}, timeout=0.05)
        peak = max(peak, site.server.megabytes())
        if time.perf_counter() - begun > LONGEST_SECONDS:
            site.stop.set()
    figures = await working
    ended = time.perf_counter()
    await asyncio.sleep(0.2)
    typist.cancel()
    await asyncio.gather(typist, return_exceptions=True)
    during = [seconds for due, seconds in times if begun <= due <= ended]
    first = [seconds for due, seconds in times if due < begun]
    unanswered = max(0.0, time.perf_counter() - (times[-1][0] if times else begun) - 1.0 / keys)
    during += [unanswered] if unanswered > 1.0 else []
    return {
        **figures,
        "seconds": round(ended - begun, 2),
        "key_milliseconds_before": _percentiles(first),
        "key_milliseconds_during": _percentiles(during),
        "keys_during": len(during),
        "megabytes_before": round(before),
        "megabytes_peak_growth": round(peak - before, 1),
    }


def _percentiles(times: list[float]) -> dict[str, float]:
    found = {f"p{p}": round(float(np.percentile(times, p)) * 1e3, 1) for p in (50, 99)} if times else {}
    return found | ({"longest": round(max(times) * 1e3, 1)} if times else {})


async def _type(server: Server, keys: float, times: list[tuple[float, float]]) -> None:
    """Types keys when they are due, and notes when each was due and how long its answer took."""
    connection = Connection(server)
    _, raw = await connection.post("/v1/sessions", {"completions": 3, "next": 10})
    path = f"/v1/sessions/{json.loads(raw)['id']}/edit"
    due = time.perf_counter()
    while True:
        due += 1 / keys
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await connection.post(path, {"insert": "the lane "[len(times) % 9]})
        times.append((due, time.perf_counter() - due))


# The attacks. They use plain sockets in threads, so that they leave the typist's event loop alone.


class Answer(NamedTuple):
    """The status of an answer, its size in bytes, and its beginning."""

    status: int
    size: int
    head: bytes


def connect(site: Site) -> socket.socket:
    return socket.create_connection((site.server.host, site.server.port), timeout=LONGEST_SECONDS)


def closing(raw: bytes) -> bytes:
    """Returns a request after whose answer the server closes the connection."""
    return raw.replace(b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n", 1)


def answered(site: Site, path: str, body: Any) -> Answer:
    """Sends a request, and reads its answer without keeping it."""
    with connect(site) as connection:
        try:
            with suppress(BrokenPipeError):  # a request that is too long is refused before its end
                connection.sendall(closing(request(path, body)))
            head = part = connection.recv(1 << 20)
            size = len(part)
            while part := connection.recv(1 << 20):
                size += len(part)
                head = head if len(head) > 400 else head + part
        except OSError:
            return Answer(0, 0, b"")
    return Answer(int(head[9:12] or b"0"), size, head)


def figures_of(answers: list[Answer]) -> dict[str, Any]:
    return {
        "answers": dict(Counter(str(answer.status) for answer in answers)),
        "answer_megabytes": round(max((answer.size for answer in answers), default=0) / 2**20, 2),
    }


def together(site: Site, count: int, work: Callable[[int], Answer]) -> list[Answer]:
    """Does work in several threads at once."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda i=i: answers.append(work(i))) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def echo(choices: int, **fields: Any) -> Attack:
    """The prompt of 65 KB, with the likeliest symbols at each place, for each of several choices."""

    def attack(site: Site) -> dict[str, Any]:
        body = {"prompt": "the lane " * (PROMPT // 9), "echo": True, "logprobs": 20, "max_tokens": 0}
        return figures_of([answered(site, "/v1/completions", body | {"n": choices} | fields)])

    return attack


def written(site: Site) -> dict[str, Any]:
    """As many written symbols with log-probabilities as possible."""
    body = {"prompt": "the ", "n": 64, "max_tokens": 780, "logprobs": 20}
    return figures_of([answered(site, "/v1/completions", body)])


def ids(site: Site) -> dict[str, Any]:
    """Bodies of 1 MB with as many numbers as possible."""
    numbers = [[5] * 4000] * 125
    bodies = [{"prompt": numbers, "max_tokens": 0}, {"prompt": [5] * 500_000, "max_tokens": 0}]
    bodies += [{"prompt": ["a b " * 2000] * 128, "max_tokens": 0}]
    return figures_of([answered(site, "/v1/completions", body) for body in bodies])


def score(site: Site) -> dict[str, Any]:
    """The longest text that is scored, with the most alternatives, by four clients."""
    body = {"text": "the lane " * 2222, "alternatives": 20}
    return figures_of(together(site, 4, lambda _: answered(site, "/v1/score", body)))


def unread(site: Site) -> dict[str, Any]:
    """Large answers that their clients do not read."""
    body = {"prompt": "the lane " * 5000, "echo": True, "logprobs": 20, "max_tokens": 0}
    connections = [connect(site) for _ in range(16)]
    for connection in connections:
        connection.sendall(request("/v1/completions", body))
    site.stop.wait(40)
    for connection in connections:
        connection.close()
    return {"clients": len(connections)}


def waited(site: Site, seconds: list[float], done: threading.Event) -> None:
    """Sends small batches to the detector, and notes how long each takes."""
    number = 0
    while not done.is_set():
        begun = time.perf_counter()
        number += 1
        answered(site, "/v1/watch", {"records": [{"key": f"other {number}", "event": "start", "last": True}]})
        seconds.append(time.perf_counter() - begun)
        done.wait(0.1)


def beside_batches(site: Site, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Does work while another client sends batches to the detector."""
    seconds: list[float] = []
    done = threading.Event()
    other = threading.Thread(target=waited, args=(site, seconds, done))
    other.start()
    try:
        found = work()
    finally:
        done.set()
        other.join()
    return found | {"batch_milliseconds_of_others": _percentiles(seconds)}


def idle(site: Site) -> dict[str, Any]:
    """300,000 keys with one event each, which all become idle."""

    def work() -> dict[str, Any]:
        answers = []
        for begin in range(0, IDLE_KEYS, 20_000):
            records = [{"key": f"k{i}", "event": "start"} for i in range(begin, begin + 20_000)]
            answers.append(answered(site, "/v1/watch", {"records": records}))
        deadline = time.monotonic() + LONGEST_SECONDS
        while in_flight(site) > 10 and time.monotonic() < deadline and not site.stop.is_set():
            time.sleep(0.2)
        return figures_of(answers) | {"in_flight_left": in_flight(site)}

    return beside_batches(site, work)


def in_flight(site: Site) -> int:
    with connect(site) as connection:
        connection.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        raw = b""
        while part := connection.recv(1 << 20):
            raw += part
    return json.loads(raw.partition(b"\r\n\r\n")[2])["data"][0]["in_flight"]


def long_sequence(site: Site) -> dict[str, Any]:
    """One sequence of 40,000 events."""
    sequences = [{"key": "long", "events": ["read", "write"] * (EVENTS // 2)}]
    return beside_batches(site, lambda: figures_of([answered(site, "/v1/watch", {"sequences": sequences})]))


def sessions(site: Site) -> dict[str, Any]:
    """Sessions with the longest text and the cursor at its start."""
    body = {
        "text": "a" * (TEXT - 1) + "\U0001f600",  # four bytes for each character in Python
        "cursor": 0,
        "completions": 1,
        "next": 0,
    }
    answers = [answered(site, "/v1/sessions", body) for _ in range(2 * SESSIONS)]
    stored = sum(path.stat().st_size for path in site.folder.glob("state.db*"))
    with connect(site) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        raw = b""
        while part := connection.recv(1 << 20):
            raw += part
    counted = next(line for line in raw.decode().splitlines() if line.startswith("onward_session_megabytes "))
    return figures_of(answers) | {
        "counted_megabytes": round(float(counted.split()[1]), 1),
        "stored_megabytes": round(stored / 2**20, 1),
    }


def novelty(site: Site) -> dict[str, Any]:
    """20,000 equal symbols against 20 MB of them; the client leaves after a second."""
    with connect(site) as connection:
        connection.sendall(request("/v1/novelty", {"text": "a" * 20_000}))
        time.sleep(1.0)
    before = site.server.seconds()
    time.sleep(10.0)
    after_leaving = site.server.seconds() - before
    begun = time.perf_counter()
    answer = answered(site, "/v1/novelty", {"text": "a" * 20_000})
    return figures_of([answer]) | {
        "processor_seconds_in_10_after_leaving": round(after_leaving, 2),
        "seconds_of_an_answer": round(time.perf_counter() - begun, 2),
    }


def listeners(site: Site) -> dict[str, Any]:
    """A client that follows the alarms as often as it can; then the page tries to."""
    path = b"GET /v1/watch/alarms?stream=true HTTP/1.1\r\nHost: localhost\r\n"
    held, statuses = [], Counter[str]()
    for _ in range(250):
        connection = connect(site)
        connection.sendall(path + b"\r\n")
        statuses[connection.recv(1 << 16)[9:12].decode()] += 1
        held.append(connection)
    with connect(site) as connection:
        connection.sendall(path + b"Sec-Fetch-Site: same-origin\r\n\r\n")
        page = connection.recv(1 << 16)[9:12].decode()
    with connect(site) as connection:
        connection.sendall(path + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n")
        foreign = connection.recv(1 << 16)[9:12].decode()
    time.sleep(3.0)
    for connection in held:
        connection.close()
    return {"answers": dict(statuses), "page": page, "foreign_page": foreign}


def sockets(site: Site) -> dict[str, Any]:
    """A client that opens as many WebSockets as it can, and is silent."""
    raw = answered(site, "/v1/sessions", {"completions": 0, "next": 0}).head
    session = json.loads(raw.partition(b"\r\n\r\n")[2])["id"]
    held, statuses = [], Counter[str]()
    for _ in range(1990):
        connection = connect(site)
        connection.sendall(_upgrade(session))
        try:
            statuses[connection.recv(1 << 12)[9:12].decode()] += 1
        except OSError:
            statuses["closed"] += 1
        held.append(connection)
    with connect(site) as connection:
        connection.sendall(_upgrade(session, b"Sec-Fetch-Site: same-origin\r\n"))
        try:
            page = connection.recv(1 << 12)[9:12].decode()
        except OSError:
            page = "closed"
    for connection in held:
        connection.close()
    return {"answers": dict(statuses), "page": page}


def _upgrade(session: str, more: bytes = b"") -> bytes:
    key = base64.b64encode(os.urandom(16))
    return (
        b"GET /v1/sessions/%b/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n%b\r\n" % (session.encode(), key, more)
    )


def flood(first: bytes, repeated: bytes, *, upgraded: bool = False) -> Attack:
    """Sends bytes for some seconds, as many as the server takes, and reads the answers.

    Args:
        first: the beginning.
        repeated: sent again and again.
        upgraded: whether to open a WebSocket first.
    """

    def attack(site: Site) -> dict[str, Any]:
        sent, is_closed, deadline = 0, False, time.monotonic() + FLOOD_SECONDS
        with connect(site) as connection:
            if upgraded:
                raw = answered(site, "/v1/sessions", {"completions": 0, "next": 0}).head
                connection.sendall(_upgrade(json.loads(raw.partition(b"\r\n\r\n")[2])["id"]))
                connection.recv(1 << 12)
            connection.settimeout(0.01)
            left = memoryview(first + repeated)
            while time.monotonic() < deadline and not is_closed:
                try:
                    with contextlib.suppress(TimeoutError):
                        is_closed = not connection.recv(1 << 16)
                    with contextlib.suppress(TimeoutError):
                        count = connection.send(left)
                        sent, left = sent + count, left[count:] or memoryview(repeated)
                except OSError:
                    is_closed = True
        return {"sent_megabytes": round(sent / 2**20, 2)}

    return attack


_CHUNKED = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
_MASK = b"\0\0\0\0"

ATTACKS: dict[str, Attack] = {
    "echo_1": echo(1),
    "echo_32_plain": echo(32, logprobs=0),
    "echo_16": echo(16),
    "echo_128": echo(128),
    "echo_16_stream": echo(16, stream=True),
    "written": written,
    "ids": ids,
    "score": score,
    "unread": unread,
    "idle": idle,
    "long_sequence": long_sequence,
    "sessions": sessions,
    "novelty": novelty,
    "listeners": listeners,
    "sockets": sockets,
    "pipelined": flood(b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000),
    "chunks": flood(_CHUNKED, b"1\r\n \r\n" * 40_000),
    "trailers": flood(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 40_000),
    "pings": flood(b"", (b"\x89\x80" + _MASK) * 20_000, upgraded=True),
    "fragments": flood(b"\x01\x80" + _MASK, (b"\x00\x80" + _MASK) * 20_000, upgraded=True),
}


if __name__ == "__main__":
    main()
