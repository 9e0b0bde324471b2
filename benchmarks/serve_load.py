"""What the benchmarks of the server share: a server, and a client that costs little."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Server(NamedTuple):
    """A running server."""

    process: subprocess.Popen[str]
    host: str
    port: int

    def megabytes(self) -> float:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start(model: Path, *arguments: object) -> Server:
    command = [sys.executable, "-m", "onward", "serve", str(model), "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    address = process.stderr.readline().split()[1].rstrip("/")
    host, _, port = address.removeprefix("http://").partition(":")
    return Server(process, host, int(port))


class Connection:
    """A connection that is kept, for JSON there and back."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.reader: Any = None
        self.writer: Any = None

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and answer."""
        await self.send(path, body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        raw = await self.reader.readexactly(int(fields.get(b"content-length", 0)))
        return int(head.split()[1]), json.loads(raw) if raw else None

    async def send(self, path: str, body: Any) -> None:
        """Sends a request, whose answer is read by the caller."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self._server.host, self._server.port)
        raw = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n"
        self.writer.write(head.encode() + raw)
