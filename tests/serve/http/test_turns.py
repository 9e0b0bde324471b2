"""Connections take turns: a client that sends much delays the others by only a few milliseconds."""

import asyncio
import time
from typing import Any

import pytest
from tests.serve.loop import run

from onward.serve.http.turns import sliced

SENT, PIECE_SECONDS = 200_000, 0.001


class Slow(asyncio.Protocol):
    """Takes a millisecond for each piece, and answers `!` with the number of bytes before and with it."""

    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        time.sleep(PIECE_SECONDS)
        self.received += data
        if self.received.endswith(b"!"):
            self.transport.write(b"%d" % len(self.received))
            self.received = b""


async def answer_seconds(port: int, content: bytes) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.perf_counter()
    writer.write(content)
    assert await reader.read(100) == b"%d" % len(content)
    writer.close()
    return time.perf_counter() - started


def test_a_client_does_not_wait_for_what_others_have_sent() -> None:
    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(sliced(Slow), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        large = [asyncio.create_task(answer_seconds(port, b"." * SENT + b"!")) for _ in range(3)]
        await asyncio.sleep(0.1)
        small = [await answer_seconds(port, b"key!") for _ in range(10)]
        assert not any(task.done() for task in large)
        await asyncio.gather(*large)
        assert sorted(small)[5] < 0.1
        server.close()

    run(work())


@pytest.mark.parametrize("size", [1, 511, 512, 513, 300_000])
def test_a_protocol_gets_all_bytes_in_order_while_it_pauses_and_resumes(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    received = bytearray()

    class Pausing(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            assert len(data) <= 512
            received.extend(data)
            if len(received) % 7 == 0:
                self.transport.pause_reading()
                asyncio.get_running_loop().call_later(0.001, self.transport.resume_reading)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    lost = asyncio.Event()

    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(sliced(Pausing), "127.0.0.1", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(content)
        await writer.drain()
        writer.close()
        await asyncio.wait_for(lost.wait(), 20)
        server.close()

    run(work())
    assert bytes(received) == content


def test_a_client_that_is_still_sending_gets_the_last_answer() -> None:
    class Refusing(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"too large")
            self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    lost = asyncio.Event()

    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(sliced(Refusing), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        for _ in range(20):
            writer.write(b"." * 100_000)
            await writer.drain()
            await asyncio.sleep(0.005)
        assert await reader.read() == b"too large"
        assert not lost.is_set()
        writer.close()
        await asyncio.wait_for(lost.wait(), 5)
        server.close()

    run(work())
