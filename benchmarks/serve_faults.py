"""Does the server survive 10,000 malformed requests, and SIGKILL while 50 sessions type?

    python benchmarks/serve_faults.py MODEL [--requests 10000] [--sessions 50]

The requests have wrong fields, changed bytes in head or body, random bytes, or end early. The benchmark
compares memory and open files after a tenth of the requests with those at the end. Then sessions type into
a server that saves them, until it is killed. A new server must answer each session with the distribution
for the last acknowledged text, or for that text with the key that was not answered.
"""

import asyncio
import json
import random
import signal
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from record import command_line, record
from serve_load import Connection, Server, request, start

AT_ONCE = 32
PATHS = ("/v1/completions", "/v1/score", "/v1/novelty", "/v1/sessions", "/v1/sessions/none/edit", "/nowhere")
BODIES: tuple[Any, ...] = (
    {"prompt": "to be", "max_tokens": 3},
    {"prompt": [[5, 6], [7]], "max_tokens": 1, "logprobs": 2, "echo": True},
    {"text": "to be or not", "alternatives": 2},
    {"text": "to be", "completions": 2, "until": "line", "next": 4},
    {"insert": "x", "at": 1, "delete": 0, "version": 0},
)
WRONG: tuple[Any, ...] = (
    None,
    -1,
    1e300,
    10**30,
    "",
    "\ud800\0",
    [],
    [[]],
    {},
    True,
    "x" * 5000,
    [1e9],
    {"a": []},
)


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=50)
    arguments = parser.parse_args()
    faults = asyncio.run(malformed(arguments.model, arguments.requests))
    killed = asyncio.run(kill(arguments.model, arguments.sessions))
    record("serve_faults", faults | killed)


async def malformed(model: Path, count: int) -> dict[str, Any]:
    """Sends malformed requests, and returns the answers and the state of the server."""
    server = start(model)
    try:
        statuses: Counter[str] = Counter()
        await batch(server, range(count // 10), statuses)
        before = server.megabytes(), server.files()
        await batch(server, range(count // 10, count), statuses)
        await asyncio.sleep(1.0)
        healthy = (await Connection(server).post("/v1/score", {"text": "to be"}))[0]
        return {
            "requests": count,
            "answers": dict(sorted(statuses.items())),
            "server_errors": sum(n for status, n in statuses.items() if status.startswith("5")),
            "crashed": server.process.poll() is not None or healthy != 200,
            "megabytes": round(server.megabytes()),
            "megabytes_grown": round(server.megabytes() - before[0], 1),
            "open_files_grown": server.files() - before[1],
        }
    finally:
        server.process.terminate()


async def batch(server: Server, numbers: range, statuses: Counter[str]) -> None:
    """Sends requests over several connections at once."""
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:
            statuses[await send(server, random.Random(number))] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def send(server: Server, rng: random.Random) -> str:
    """Sends a malformed request, and returns the status of the answer, or what happened instead."""
    raw, cut = damaged(rng), rng.random()
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        if cut < 0.1:  # closed before the request is complete
            writer.write(raw[: rng.randrange(len(raw))])
            return "left"
        if cut < 0.12:  # byte by byte, and never complete
            for byte in raw[:40]:
                if writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.005)
            return "left"
        writer.write(raw)
        async with asyncio.timeout(30):
            line = await reader.readline()
        return line.split()[1].decode() if line.startswith(b"HTTP/1.1 ") else "closed"
    except (ConnectionError, TimeoutError) as error:
        return "silent" if isinstance(error, TimeoutError) else "closed"
    finally:
        writer.close()


def damaged(rng: random.Random) -> bytes:
    """Returns a malformed request."""
    body = dict(rng.choice(BODIES))
    kind = rng.randrange(5)
    if kind == 0:
        body[rng.choice([*body, "n", "stop", "seed", "cursor", "model", "unknown"])] = rng.choice(WRONG)
        return request(rng.choice(PATHS), body)
    raw = bytearray(request(rng.choice(PATHS), body))
    if kind == 1:  # changed bytes of the body
        at = raw.index(b"\r\n\r\n") + 4
        for _ in range(rng.randint(1, 6)):
            raw[rng.randrange(at, len(raw))] = rng.randrange(256)
    elif kind == 2:  # changed bytes of the head
        for _ in range(rng.randint(1, 4)):
            raw[rng.randrange(raw.index(b"\r\n\r\n"))] = rng.randrange(256)
        raw += b"\r\n\r\n"
    elif kind == 3:  # an extra header
        wrong = (b"Content-Length: -5", b"Transfer-Encoding: chunked", b"Host: evil", b"X: " + b"y" * 40_000)
        raw = raw.replace(b"Host: localhost", b"Host: localhost\r\n" + rng.choice(wrong))
    else:
        raw = bytearray(rng.randbytes(rng.randint(1, 400)) + b"\r\n\r\n")
    return bytes(raw)


async def kill(model: Path, sessions: int) -> dict[str, Any]:
    """Kills a server while sessions type, and returns how they continue on a new one."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "sessions.db"
        server = start(model, "--state", state)
        typists = [asyncio.create_task(type_on(server, number)) for number in range(sessions)]
        await asyncio.sleep(5.0)
        server.process.send_signal(signal.SIGKILL)
        seen = await asyncio.gather(*typists)
        server.process.wait()
        again, fresh = start(model, "--state", state), Counter[str]()
        try:
            for id_, text, version in seen:
                fresh[await compared(again, id_, text, version)] += 1
        finally:
            again.process.terminate()
    return {
        "sessions": sessions,
        "keys_acknowledged": sum(version for _, _, version in seen),
        "sessions_that_go_on_the_same": fresh["same"],
        "sessions_lost_or_other": sessions - fresh["same"],
    }


async def type_on(server: Server, number: int) -> tuple[str, str, int]:
    """Types until the server is killed. Returns the session, its text, and the last acknowledged version."""
    connection, rng, text, version = Connection(server), random.Random(number), "", 0
    _, raw = await connection.post("/v1/sessions", {"next": 100})
    id_ = json.loads(raw)["id"]
    try:
        while True:
            text += rng.choice("abcdefgh ,.\n")
            _, raw = await connection.post(f"/v1/sessions/{id_}/edit", {"insert": text[-1]})
            version = json.loads(raw)["version"]
    except (ConnectionError, TypeError, AttributeError):
        return id_, text, version


async def compared(server: Server, id_: str, text: str, version: int) -> str:
    """Compares a restored session with a new one: "same", "other", or "lost" if keys are missing."""
    connection = Connection(server)
    status, raw = await connection.post(f"/v1/sessions/{id_}/edit", {"next": 100})
    saved = json.loads(raw)
    if status != 200 or not version <= saved["version"] <= len(text):
        return "lost"
    _, raw = await connection.post("/v1/sessions", {"text": text[: saved["version"]], "next": 100})
    connection.close()
    ours, theirs = (
        {each["symbol"]: each["probability"] for each in answer["next"]}
        for answer in (saved, json.loads(raw))
    )
    return "same" if np.allclose([ours[name] for name in theirs], [*theirs.values()], atol=1e-5) else "other"


if __name__ == "__main__":
    main()
