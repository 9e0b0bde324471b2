"""The application on uvicorn: connections that bring no request are closed, and Ctrl-C finishes what runs."""

import asyncio
import errno
import gc
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onward.errors import InputError
from onward.serve.api.watch import ENDLESS
from onward.serve.app import ServerSettings, make_app

LONGEST_HEAD = 1 << 14
"""Bytes of the head of a request."""

TURN = 0.0002
"""Seconds after which the thread that answers connections makes way for that of a model which has made its
step: after the usual 5 ms it would have waited fifty times as long as a step takes."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP whose patience ends: a head of a request has its time and its size, connections their number."""

    seconds = 10.0
    most = 2000
    _waiting: asyncio.TimerHandle | None = None
    _is_in_head = True
    _head = 0  # bytes that came while a head was not whole

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
        """Refuses a head that is too long."""
        if self.transport.is_closing():
            return
        self._head = self._head + len(data) if self._is_in_head else 0
        super().data_received(data)
        if self._is_in_head and self._head > LONGEST_HEAD:
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """A part of a head does not count as a request that has come."""
        super().on_message_begin()
        self._is_in_head, self._head = True, 0
        if self._waiting is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """A request that has come is no longer waited for."""
        self._is_in_head = False
        self._stop_waiting()
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > LONGEST_HEAD:
            raise ValueError("the head of the request is too long")  # answered with 400
        super().on_headers_complete()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
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
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"cannot listen to {host} port {port}: {getattr(error, 'strerror', None) or error}",
            hint=_remedy(error),
        ) from error
    listening.setblocking(False)
    return listening


def _remedy(error: Exception) -> str:
    """What helps against an address that cannot be had."""
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError) or number == errno.EADDRNOTAVAIL:
        return "no address of this machine has that name: choose another --host"
    if number == errno.EACCES:
        return "a port below 1024 may need rights of its own: choose another --port"
    return "another server may run there: choose another --port"


def serve(settings: ServerSettings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until it is told to stop; then what runs is finished.

    Args:
        settings: what is served.
        host, port: where it listens; port 0 is any that is free.
        ready: is told the address when it listens.
    """
    # One core is left for the connections: threads of PyTorch that wait for it would keep it busy. Those that
    # help with steps sleep while they wait, so they may be as many as there are cores.
    settings = replace(settings, threads=settings.threads or torch.get_num_threads())
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - 1)))
    sys.setswitchinterval(TURN)
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
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.stop_seconds),
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="error",
    )
    _spare_the_collector()
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listening.getsockname()[1]}/")
    uvicorn.Server(config).run(sockets=[listening])


def _spare_the_collector() -> None:
    """Keeps Python's search for cycles from what stays: a fifth of the time of a key went into it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
