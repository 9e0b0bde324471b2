"""How long does the answer to a typed key take, with one session and with 200?

    python benchmarks/serve_typing.py MODEL TEXT [--sessions 200] [--keys 5] [--seconds 60]

First one session types 1,000 keys of TEXT, one after another. Then all sessions type at the given rate for
two minutes; only the second minute counts. Every response has three completions and the next ten symbols. The
time of a key starts at the moment when it was due.
"""

import argparse
import asyncio
import json
import time
from typing import Any, NamedTuple

import numpy as np
import uvloop

from record import command_line, record
from serve_load import Connection, Server, start

ALONE = 1000


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--keys", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    server = start(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")
    try:
        record("serve_typing", uvloop.run(measure(server, text, arguments)))
    finally:
        server.process.terminate()


class Typist(NamedTuple):
    """The seconds of each key, and the numbers of responses without completions and of errors."""

    times: list[float]
    without: int
    errors: int


async def measure(server: Server, text: str, arguments: argparse.Namespace) -> dict[str, Any]:
    alone = await typed(server, text[:ALONE], 0.0, 0.0)
    typing = asyncio.create_task(many(server, text, arguments))
    await asyncio.sleep(arguments.seconds)
    before, busy = server.megabytes(), server.seconds()
    await asyncio.sleep(arguments.seconds)
    after, spent = server.megabytes(), server.seconds() - busy
    typists = await typing
    count = round(arguments.seconds * arguments.keys)
    times = [seconds for typist in typists for seconds in typist.times[count:]]
    return {
        "sessions": arguments.sessions,
        "keys_per_second": arguments.keys,
        "alone_milliseconds": percentiles(alone.times),
        "together_milliseconds": percentiles(times),
        "answers": len(times),
        "answers_without_completions": sum(typist.without for typist in typists),
        "server_milliseconds_of_processor_a_key": round(spent / len(times) * 1e3, 2),
        "errors": sum(typist.errors for typist in typists) + alone.errors,
        "megabytes": round(after),
        "megabytes_grown_in_the_second_minute": round(after - before, 1),
    }


async def many(server: Server, text: str, arguments: argparse.Namespace) -> list[Typist]:
    """Runs all sessions at once, each from its own position in the text, out of phase."""
    count, period = arguments.sessions, 1 / arguments.keys
    keys = 2 * round(arguments.seconds * arguments.keys)
    places = np.linspace(0, max(0, len(text) - keys), count).astype(int)
    return await asyncio.gather(
        *(typed(server, text[at : at + keys], period, i / count * period) for i, at in enumerate(places))
    )


async def typed(server: Server, text: str, period: float, delay: float) -> Typist:
    """Types a text, one key each period; without a period, one key after each response."""
    connection, times, without, errors = Connection(server), [], 0, 0
    await asyncio.sleep(delay)
    _, raw = await connection.post("/v1/sessions", {"completions": 3, "next": 10})
    path = f"/v1/sessions/{json.loads(raw)['id']}/edit"
    due = time.perf_counter()
    for key in text:
        due = due + period if period else time.perf_counter()
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        status, raw = await connection.post(path, {"insert": key})
        times.append(time.perf_counter() - due)
        errors += status != 200
        without += b'"completions":null' in raw
    connection.close()
    return Typist(times, without, errors)


def percentiles(times: list[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(times, p)) * 1e3, 2) for p in (50, 95, 99)}


if __name__ == "__main__":
    main()
