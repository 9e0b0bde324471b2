"""Does the server survive 20,000 malformed requests, and SIGKILL while 50 sessions type?

    python benchmarks/serve_faults.py MODEL [--requests 20000] [--sessions 50]

The server has the model, a small detector, a corpus and a state. The requests have wrong fields, broken JSON,
changed bytes in head or body, wrong headers, chunks, paths or WebSocket frames, or end early (serve_fuzz.py).
None may crash the server, get a status of 500 or above, have an answer of more than a megabyte, or leave an
error in the server's log. The benchmark compares memory and open files after a tenth of the requests with
those at the end. serve_attacks.py sends requests that are right, but expensive.

Then sessions type into a server that saves them, until it is killed. A new server must answer each session
with the distribution for the last acknowledged text, or for that text with the key that was not answered.
"""

import asyncio
import json
import random
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from record import command_line, record
from serve_fuzz import attempt
from serve_load import Connection, Server, start
from watch_faults import learn

AT_ONCE = 32
LARGEST_ANSWER = 1 << 20
_SILENCE_SECONDS = 0.2


class Answer(NamedTuple):
    """The status of an answer, or what happened instead, and its size in bytes."""

    status: str
    size: int = 0


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--sessions", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        detector = Path(folder, "audit.onward")
        learn(detector)
        faults = asyncio.run(malformed(arguments.model, detector, arguments.requests))
    killed = asyncio.run(kill(arguments.model, arguments.sessions))
    record("serve_faults", faults | killed)


async def malformed(model: Path, detector: Path, count: int) -> dict[str, Any]:
    """Sends malformed requests, and returns the answers and the state of the server."""
    with tempfile.TemporaryDirectory() as folder:
        detector = Path(shutil.copy(detector, folder))  # a request may mark an alarm as normal
        corpus = Path(folder, "corpus.txt")
        corpus.write_text("to be or not to be, that is the question\n")
        server = start(model, detector, "--corpus", corpus, "--state", Path(folder, "state.db"))
        try:
            found = await _malformed(server, count)
        finally:
            server.process.terminate()
        _, messages = await asyncio.to_thread(server.process.communicate)
        errors = [line for line in messages.splitlines() if line.startswith(("ERROR", "Traceback"))]
        return found | {"errors_logged": errors, "stopped_cleanly": server.process.returncode in (0, -15)}


async def _malformed(server: Server, count: int) -> dict[str, Any]:
    connection = Connection(server)
    session = json.loads((await connection.post("/v1/sessions", {"text": "to be"}))[1])["id"]
    answers: Counter[Answer] = Counter()
    await batch(server, range(count // 10), session, answers)
    before = server.megabytes(), server.files()
    await batch(server, range(count // 10, count), session, answers)
    await asyncio.sleep(1.0)
    status, _ = await connection.post("/v1/score", {"text": "to be"})
    connection.close()
    statuses: Counter[str] = Counter()
    for answer, times in answers.items():
        statuses[answer.status] += times
    return {
        "requests": count,
        "answers": dict(sorted(statuses.items())),
        "server_errors": sum(times for status, times in statuses.items() if status.startswith("5")),
        "crashed": server.process.poll() is not None or status != 200,
        "largest_answer_bytes": max(answer.size for answer in answers),
        "megabytes": round(server.megabytes()),
        "megabytes_grown": round(server.megabytes() - before[0], 1),
        "open_files_grown": server.files() - before[1],
    }


async def batch(server: Server, numbers: range, session: str, answers: Counter[Answer]) -> None:
    """Sends requests over several connections at once."""
    waiting = iter(numbers)

    async def work() -> None:
        for number in waiting:
            answers[await send(server, number, session)] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def send(server: Server, number: int, session: str) -> Answer:
    """Sends a malformed request, and returns its answer."""
    raw, is_cut, is_slow = attempt(number, session)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        if is_slow:
            for byte in raw:
                if writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.005)
        else:
            writer.write(raw)
        if is_cut:
            return Answer("left")
        async with asyncio.timeout(30):
            return await _answer(reader)
    except (ConnectionError, TimeoutError, asyncio.IncompleteReadError) as error:
        return Answer("silent" if isinstance(error, TimeoutError) else "closed")
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    """Reads an answer to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, lower = head[9:12].decode(), head.lower()
    if b"\r\ncontent-length: " in lower:
        size = int(lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        body = b""
        while len(body) < size and (part := await _part(reader)):  # the answer to HEAD has no body
            body += part
        return Answer(status, len(body))
    size = 0
    while part := await _part(reader):  # of chunks, or of a WebSocket, until it is closed or silent
        size += len(part)
        if part.endswith(b"\r\n0\r\n\r\n") or size > LARGEST_ANSWER:
            break
    return Answer(status, size)


async def _part(reader: asyncio.StreamReader) -> bytes:
    """Returns the next part of an answer; b"" at its end, or after some silence."""
    try:
        return await asyncio.wait_for(reader.read(1 << 16), _SILENCE_SECONDS)
    except TimeoutError:
        return b""


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
