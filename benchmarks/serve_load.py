"""Common code of the server benchmarks: a server process, and a client that needs little time."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from record import megabytes


class Server(NamedTuple):
    """A server process."""

    process: subprocess.Popen[str]
    host: str
    port: int

    def megabytes(self) -> float:
        """Returns the server's resident memory."""
        return megabytes(self.process.pid)

    def seconds(self) -> float:
        """Returns the server's processor time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self) -> int:
        """Returns the number of open files."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


def start(model: Path, *arguments: object) -> Server:
    command = [sys.executable, "-m", "onward", "serve", str(model), "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    address = process.stderr.readline().split()[1].rstrip("/")
    drain = partial(deque, process.stderr, maxlen=0)  # a full pipe would stop the server
    threading.Thread(target=drain, daemon=True).start()
    host, _, port = address.removeprefix("http://").partition(":")
    return Server(process, host, int(port))


class Connection(asyncio.Protocol):
    """A kept-alive connection for JSON requests, one at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: Any = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._raw = b""
        self._size = 0  # length of the answer, once its head has arrived
        self._body = 0  # where the body of the answer begins

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._server.host, self._server.port)

    async def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """Returns the status and the body of the response."""
        if self._transport is None:
            await self.open()
        self._answer = asyncio.get_running_loop().create_future()
        transport: Any = self._transport
        transport.write(request(path, body))
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._raw = self._raw + data if self._raw else data
        if not self._body:
            at = self._raw.find(b"\r\n\r\n")
            if at < 0:
                return
            self._body = at + 4
            head = self._raw[:at].lower()
            _, found, length = head.partition(b"content-length: ")
            self._size = self._body + (int(length.partition(b"\r\n")[0]) if found else 0)
        if len(self._raw) >= self._size and self._answer:
            status, raw = int(self._raw[9:12]), self._raw[self._body : self._size]
            self._raw, self._body = b"", 0
            if not self._answer.done():
                self._answer.set_result((status, raw))


def request(path: str, body: Any) -> bytes:
    """Returns the bytes of a POST request with a JSON body."""
    raw = json.dumps(body).encode()
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
        path.encode(),
        len(raw),
        raw,
    )
