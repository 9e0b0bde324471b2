"""The application on uvicorn: connections that bring no request are closed, and Ctrl-C finishes what runs."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import h11
import torch
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from onward.errors import InputError
from onward.serve.app import Settings, make_app
from onward.serve.watch_routes import ENDLESS

LONGEST_HEAD = 1 << 14
"""Bytes of the head of a request."""


class PatientProtocol(H11Protocol):
    """HTTP whose patience ends: a head of a request has its time, and connections have their number."""

    seconds = 10.0
    most = 2000
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Counts the connection, and begins to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._wait()

    def shutdown(self) -> None:
        """The server stops: what would not end by itself is ended."""
        super().shutdown()
        if self.cycle is not None and self.cycle.scope.get(ENDLESS):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A request that has begun is no longer waited for; a part of a head does not count as one."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            if self._waiting is None:
                self._wait()
        else:
            self._stop_waiting()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen to {host} port {port}: {getattr(error, 'strerror', None) or error}",
            hint="another server may run there: choose a --port",
        ) from error
    listening.setblocking(False)
    return listening


def serve(settings: Settings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until it is told to stop; then what runs is finished.

    Args:
        settings: what is served.
        host, port: where it listens; port 0 is any that is free.
        ready: is told the address when it listens.
    """
    # One core is left for the connections: threads of PyTorch that wait for it would keep it busy.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
    listening = listen(host, port)
    limits = settings.limits
    protocol: Any = type(
        "Protocol", (PatientProtocol,), {"seconds": limits.request_seconds, "most": limits.connections}
    )
    config = uvicorn.Config(
        make_app(settings),
        http=protocol,
        ws="websockets-sansio",
        ws_max_size=limits.body_bytes,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.stop_seconds),
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="error",
    )
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listening.getsockname()[1]}/")
    uvicorn.Server(config).run(sockets=[listening])
