"""How many symbols a second do 32 streamed completions get, compared with one?

    python benchmarks/serve_streams.py MODEL [--streams 32] [--symbols 4000]

One stream and many run in turns, five times; the figures are medians. Each stream has its own connection, and
the server is another process.
"""

import asyncio
import statistics
import time

import uvloop

from record import command_line, record
from serve_load import Server, request, start

TURNS = 5


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--symbols", type=int, default=4000)
    arguments = parser.parse_args()
    server = start(arguments.model)
    try:
        one, many = uvloop.run(measure(server, arguments.streams, arguments.symbols))
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
    """Returns the symbols a second of `count` concurrent streams."""
    started = time.perf_counter()
    written = await asyncio.gather(*(stream(server, symbols, seed) for seed in range(count)))
    return sum(written) / (time.perf_counter() - started)


async def stream(server: Server, symbols: int, seed: int) -> int:
    """Reads one stream; returns its symbols."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    body = {"max_tokens": symbols, "seed": seed, "stream": True, "stream_options": {"include_usage": True}}
    writer.write(request("/v1/completions", body))
    last = b""
    while not last.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
        read = await reader.read(1 << 16)
        last = (last + read)[-1000:]
        if not read:
            break
    writer.close()
    _, found, count = last.rpartition(b'"completion_tokens":')
    return int(count.partition(b",")[0]) if found else 0


if __name__ == "__main__":
    main()
