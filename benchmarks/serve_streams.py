"""How many symbols a second do 32 streaming completions get, beside one?

    python benchmarks/serve_streams.py MODEL [--streams 32] [--symbols 4000]

One stream and many take turns, five times; the medians count. Each has a connection of its own, to a server
in another process.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path

from record import record
from serve_load import Connection, Server, start

TURNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--symbols", type=int, default=4000)
    arguments = parser.parse_args()
    server = start(arguments.model)
    try:
        one, many = asyncio.run(measure(server, arguments.streams, arguments.symbols))
    finally:
        server.process.terminate()
    figures = {"streams": arguments.streams, "symbols": arguments.symbols}
    speeds = {"one_symbols_per_second": round(one), "all_symbols_per_second": round(many)}
    record("serve_streams", figures | speeds | {"times_one": round(many / one, 2)})


async def measure(server: Server, streams: int, symbols: int) -> tuple[float, float]:
    speeds: dict[int, list[float]] = {1: [], streams: []}
    await together(server, 1, symbols // 10)
    for _ in range(TURNS):
        for count, found in speeds.items():
            found.append(await together(server, count, symbols))
    return statistics.median(speeds[1]), statistics.median(speeds[streams])


async def together(server: Server, count: int, symbols: int) -> float:
    """Symbols a second of so many streams."""
    started = time.perf_counter()
    written = await asyncio.gather(*(stream(server, symbols, seed) for seed in range(count)))
    return sum(written) / (time.perf_counter() - started)


async def stream(server: Server, symbols: int, seed: int) -> int:
    """Symbols of one stream."""
    connection = Connection(server)
    body = {"max_tokens": symbols, "seed": seed, "stream": True, "stream_options": {"include_usage": True}}
    await connection.send("/v1/completions", body)
    written = 0
    while (line := await connection.reader.readline()) != b"data: [DONE]\n":
        if line.startswith(b"data: ") and b'"completion_tokens"' in line:
            written = json.loads(line[6:])["usage"]["completion_tokens"]
    connection.writer.close()
    return written


if __name__ == "__main__":
    main()
