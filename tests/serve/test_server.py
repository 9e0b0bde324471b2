"""The process: it stops cleanly, and clients may leave at any time."""

import asyncio
import json
import os
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Send
from tests.serve.conftest import Server, Start
from tests.serve.loop import run
from uvicorn.server import ServerState
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect as socket_to

from onward.errors import InputError
from onward.serve.server import LimitedProtocol, listen


def post(path: str, body: object) -> bytes:
    raw = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw


def connect(server: Server) -> socket.socket:
    host, _, port = server.url[7:].partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def metric(server: Server, name: str) -> float:
    page = server.client.get("/metrics").text
    return float(next(line for line in page.splitlines() if line.startswith(f"{name} ")).split()[1])


def waiting(server: Server) -> float:
    return metric(server, "onward_waiting")


@pytest.mark.slow
def test_a_server_that_stops_finishes_running_streams(start: Start, model: Path) -> None:
    server = start(model)
    with connect(server) as connection:
        connection.sendall(post("/v1/completions", {"max_tokens": 3000, "seed": 1, "stream": True}))
        assert connection.recv(12) == b"HTTP/1.1 200"
        server.client.close()
        server.process.send_signal(signal.SIGTERM)
        read = b""
        while part := connection.recv(1 << 16):
            read += part
    assert b"data: [DONE]" in read
    assert server.process.wait(timeout=30) in (0, -signal.SIGTERM)


def test_clients_that_leave_free_their_places(server: Server) -> None:
    for _ in range(5):
        with connect(server) as connection:
            connection.sendall(post("/v1/completions", {"max_tokens": 16_000, "n": 8, "stream": True}))
            connection.recv(12)
    deadline = time.monotonic() + 20
    while waiting(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert waiting(server) == 0


def processor_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("symbols", ["a", "ab"])  # repetitions, and as many short matches as possible
@pytest.mark.slow
def test_a_search_ends_when_its_client_leaves(
    start: Start, model: Path, tmp_path: Path, symbols: str
) -> None:
    chance, corpus = random.Random(0), tmp_path / "corpus.txt"
    corpus.write_text("".join(chance.choices(symbols, k=1_000_000)) * 20)
    text = "".join(chance.choices(symbols, k=20_000))
    server = start(model, "--corpus", corpus)
    with connect(server) as connection:
        connection.sendall(post("/v1/novelty", {"text": text, "minimum": 20 if symbols == "a" else 1}))
        time.sleep(0.5)
    time.sleep(1.0)  # for the slice in work
    before = processor_seconds(server)
    time.sleep(2.0)
    assert processor_seconds(server) - before < 1.0


def test_a_long_text_is_not_read_on_after_its_client_has_left(server: Server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    before = metric(server, "onward_symbols_read_total")
    long = "the lane goes on. " * 10_000
    for path, body in ((f"/v1/sessions/{id_}/edit", {"insert": long}), ("/v1/sessions", {"text": long})):
        with connect(server) as connection:
            connection.sendall(post(path, body))
            time.sleep(0.1)
    deadline = time.monotonic() + 20
    while waiting(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert waiting(server) == 0
    assert metric(server, "onward_symbols_read_total") - before < len(long)
    answer = server.client.post(f"/v1/sessions/{id_}/edit", json={"at": 9, "delete": len(long) - 9}).json()
    assert (answer["version"], answer["length"]) == (2, 9)
    assert answer["completions"]


def answers_to(server: Server, content: bytes) -> bytes:
    """Returns all bytes that the server sends until it closes the connection."""
    read = b""
    with connect(server) as connection, suppress(ConnectionError):
        connection.sendall(content)
        while part := connection.recv(1 << 16):
            read += part
    return read


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    requests = [b"GET /page/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(60)]
    requests[-1] = requests[-1].replace(b"Host", b"Connection: close\r\nHost")
    read = answers_to(server, b"".join(requests))
    assert read.count(b"HTTP/1.1 404") == 60
    places = [read.index(b'there is no GET /page/%d"' % number) for number in range(60)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "body", [b"0\r\n" + b"a: b\r\n" * 20_000, b"0\r\na: " + b"b" * 99_999, b"2;" + b"b" * 99_999]
)
def test_the_trailers_and_chunks_of_a_body_are_limited(server: Server, body: bytes) -> None:
    head = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    started = time.monotonic()
    assert answers_to(server, head + body)[:12] in (b"HTTP/1.1 400", b"")  # "" if the connection was reset
    assert time.monotonic() - started < 5
    assert b"200 OK" in answers_to(
        server,
        head.replace(b"Host", b"Connection: close\r\nHost") + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\na: b\r\n\r\n",
    )


def test_the_frames_of_a_message_are_limited(server: Server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    with socket_to(f"ws{server.url[4:]}/v1/sessions/{id_}/ws") as websocket:
        websocket.send(iter(["{", *[""] * 1000, "}"]))
        assert "completions" in json.loads(websocket.recv())
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.send(iter(["{", *[""] * 2000, "}"]))
            websocket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_an_unavailable_address_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("127.0.0.1", 0) as taken:
        for host, port, remedy in (
            ("192.0.2.1", 0, "--host"),  # an address for documentation
            (f"{'a' * 64}.example", 0, "--host"),
            ("127.0.0.1", taken.getsockname()[1], "--port"),
        ):
            with pytest.raises(InputError, match="cannot listen on") as caught:
                listen(host, port)
            assert remedy in caught.value.hint

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InputError, match="not known") as caught:
        listen("nowhere.example", 8000)
    assert "--host" in caught.value.hint


def test_one_address_cannot_use_all_connections() -> None:
    class Protocol(LimitedProtocol):
        max_connections = 4

    async def app(_: object, __: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionError):
            return (await reader.read(100))[9:12]
        return b""

    async def work() -> None:
        config = uvicorn.Config(app, log_level="error")
        config.load()
        state, loop = ServerState(), asyncio.get_running_loop()
        server = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sources = ["127.0.0.1"] * 3 + ["127.0.0.2"] * 3
        opened = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)) for source in sources
        ]
        answers = [await status(*each) for each in opened]
        assert answers == [b"204", b"204", b""] * 2
        for _, writer in opened:
            writer.close()
        server.close()

    run(work())
