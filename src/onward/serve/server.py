"""The application on uvicorn, with limits on connections and a clean stop."""

import asyncio
import errno
import gc
import os
import socket
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import torch
import uvicorn
from prometheus_client import disable_created_metrics
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from onward.errors import InputError
from onward.serve.app import ServerSettings, make_app
from onward.serve.http.responses import HANG_UP
from onward.serve.http.slots import half
from onward.serve.http.turns import TURN_SECONDS, sliced

MAX_HEAD_BYTES = 1 << 14
"""Maximum number of bytes of the head of a request."""

MAX_FRAGMENTS = 1024
"""Maximum number of frames of a WebSocket message. Empty frames take memory too, but have no size."""

SWITCH_SECONDS = 0.0002
"""Python's switch interval: how long the thread of the connections may run while a model's thread waits for
its turn. The default of 5 ms is fifty times as long as a step."""


class LimitedProtocol(HttpToolsProtocol):
    """HTTP with limits: on the size of a request's head, the time for it to arrive, and open connections.

    The sizes and extensions of chunks and the trailers of a body are limited like a head, to `MAX_HEAD_BYTES`
    and one more byte for each byte of the body.

    Attributes:
        head_seconds: time for the head of a request to arrive.
        max_connections: open connections, half of them from one address; further ones are closed.
    """

    head_seconds = 10.0
    max_connections = 2000
    _timer: asyncio.TimerHandle | None = None
    _is_in_head = True
    _body_bytes = 0  # of the request
    _other_bytes = 0  # of the request, besides its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _OneAtATime(transport, self.pipeline)
        if self._is_excess():
            transport.abort()
            return
        self._start_timer()

    def _is_excess(self) -> bool:
        """Whether there are too many connections, or too many from this address."""
        count, share = len(self.connections), half(self.max_connections)
        if count <= share:
            return False
        addresses = [getattr(each, "client", None) for each in self.connections]
        own = sum(address is not None and address[:1] == (self.client or ())[:1] for address in addresses)
        return count > self.max_connections or own > share

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._other_bytes += len(data)
        super().data_received(data)
        if self._other_bytes > MAX_HEAD_BYTES + self._body_bytes and not self.transport.is_closing():
            part = "head" if self._is_in_head else "part besides the body"
            self.send_400_response(f"The {part} of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._body_bytes, self._other_bytes = True, 0, 0
        if self._timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_timer()
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too long")  # uvicorn answers with 400
        scope: Any = self.scope
        scope[HANG_UP] = self.transport.abort
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._other_bytes -= len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Begins the next request of the connection, after a pause if it was sent before this answer."""
        begin_next = super().on_response_complete
        if self.pipeline:
            self.loop.call_later(TURN_SECONDS, begin_next)
        else:
            begin_next()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        self.transport.abort()


class _OneAtATime(FlowControl):
    """Resumes reading only if no request waits for the answer to an earlier one of the connection."""

    def __init__(self, transport: asyncio.Transport, waiting: Collection[object]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """WebSocket with a limit on the frames of a message."""

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1009, f"a message has more than {MAX_FRAGMENTS} frames")
            self.handle_parser_exception()


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens.

    Raises:
        InputError: the address is not available.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}",
            hint=_remedy(error),
        ) from error
    listening.setblocking(False)
    return listening


def _remedy(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError) or number == errno.EADDRNOTAVAIL:
        return "this machine has no such address: choose another --host"
    if number == errno.EACCES:
        return "ports below 1024 may need administrator rights: choose another --port"
    return "another program may use the port: choose another --port"


def serve(settings: ServerSettings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until the process is asked to stop; running requests finish first.

    Args:
        settings: what to serve.
        host, port: address to listen on; port 0 is any free port.
        ready: called with the URL once the server listens.
    """
    # One core stays free for the connections while PyTorch works on a long request. Steps are short, so they
    # may use all cores.
    settings = replace(settings, threads=settings.threads or torch.get_num_threads())
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - 1)))
    sys.setswitchinterval(SWITCH_SECONDS)
    disable_created_metrics()  # otherwise each counter has one more series, with its creation time
    listening = listen(host, port)
    limits = settings.limits
    protocol: Any = type(
        "Protocol",
        (LimitedProtocol,),
        {"head_seconds": limits.request_seconds, "max_connections": limits.connections},
    )
    config = uvicorn.Config(
        make_app(settings),
        http=sliced(protocol),  # type: ignore[arg-type]
        ws=LimitedWebSocket,
        ws_max_size=limits.body_bytes,
        ws_per_message_deflate=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.stop_seconds),
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,  # uvicorn's own writes colours, and text that is not escaped
        log_level="error",
    )
    _relax_garbage_collector()
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listening.getsockname()[1]}/")
    uvicorn.Server(config).run(sockets=[listening])


def _relax_garbage_collector() -> None:
    """Exempts the loaded models from garbage collection, which took a fifth of the time of a keystroke."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
