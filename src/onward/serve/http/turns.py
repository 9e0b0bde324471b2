"""Connections take turns, so that the event loop serves all of them, however much one client sends.

A client may send thousands of requests, frames or chunks of a few bytes at once, and each takes far longer to
parse than to send. So received bytes are passed on to their protocol in small slices. All connections with
bytes left wait in one queue. It takes at most half of the event loop's time, a few milliseconds at once.
The server does not read from a connection while it waits there, or while its client does not read answers.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

SLICE_BYTES = 1 << 9
TURN_SECONDS = 0.002

LINGER_SECONDS = 1.0
"""How long a closed connection waits for its client to close it too, if not all received bytes were passed
on. Closing it at once would reset the connection, and the client could lose the last answer."""


class Turns:
    """The queue of the connections that have received bytes."""

    def __init__(self) -> None:
        self._waiting: deque[SlicedConnection] = deque()

    def add(self, connection: "SlicedConnection") -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._take)
        self._waiting.append(connection)

    def _take(self) -> None:
        """Lets connections pass on slices in turn, until the time of this turn is used up."""
        deadline = time.perf_counter() + TURN_SECONDS
        try:
            while self._waiting:
                if self._waiting[0].pass_on():
                    self._waiting.rotate(-1)
                else:
                    self._waiting.popleft()
                if time.perf_counter() > deadline:
                    break
        finally:
            if self._waiting:  # a pause of the same length, in which the models' threads run
                asyncio.get_running_loop().call_later(TURN_SECONDS, self._take)


class SlicedConnection(asyncio.Protocol):
    """Passes the bytes of a connection to its protocol in slices. It is the protocol's transport.

    Args:
        protocol: gets the bytes of the connection; it may be replaced, as when HTTP becomes a WebSocket.
        turns: the queue of all connections.
    """

    def __init__(self, protocol: Any, turns: Turns) -> None:
        self._protocol, self._turns = protocol, turns
        self._transport: Any = None
        self._received = bytearray()  # not passed on yet
        self._is_queued = False
        self._is_wanted = True  # whether the protocol wants to read
        self._is_clogged = False  # whether too many written bytes wait for the client
        self._is_reading = True
        self._is_lingering = False

    def __getattr__(self, name: str) -> Any:
        """Returns any other attribute of the connection's transport, such as `write`."""
        return getattr(self._transport, name)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._protocol.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._received.clear()
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_lingering:
            self._received += data
            self._settle()

    def eof_received(self) -> bool | None:
        return None if self._is_lingering else self._protocol.eof_received()

    def is_closing(self) -> bool:
        return self._is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Closes the connection; if the client is still sending, discards that first for a short time."""
        if not self._received:
            self._transport.close()
        elif not self.is_closing():
            self._is_lingering = True
            self._received.clear()
            self._transport.write_eof()
            self._transport.resume_reading()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def pause_writing(self) -> None:
        self._is_clogged = True
        self._protocol.pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        self._is_clogged = False
        self._protocol.resume_writing()
        self._settle()

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def pause_reading(self) -> None:
        self._is_wanted = False
        self._settle()

    def resume_reading(self) -> None:
        self._is_wanted = True
        self._settle()

    def pass_on(self) -> bool:
        """Passes on a slice, and returns whether the connection stays in the queue."""
        if self._can_pass_on():
            piece = bytes(self._received[:SLICE_BYTES])
            del self._received[:SLICE_BYTES]
            try:
                self._protocol.data_received(piece)
            except BaseException:
                self._transport.abort()
                raise
        self._is_queued = self._can_pass_on()
        self._settle()
        return self._is_queued

    def _can_pass_on(self) -> bool:
        is_open = not self.is_closing()
        return bool(self._received) and self._is_wanted and not self._is_clogged and is_open

    def _settle(self) -> None:
        """Queues the connection if it has bytes to pass on; reads more only when it has none."""
        if not self._is_queued and self._can_pass_on():
            self._is_queued = True
            self._turns.add(self)
        is_reading = self._is_wanted and not self._is_clogged and not self._received
        if is_reading != self._is_reading and not self.is_closing():
            self._is_reading = is_reading
            (self._transport.resume_reading if is_reading else self._transport.pause_reading)()


def sliced(make_protocol: Callable[..., Any]) -> Callable[..., SlicedConnection]:
    """Returns a factory of protocols whose connections take turns."""
    turns = Turns()
    return lambda *args, **kwargs: SlicedConnection(make_protocol(*args, **kwargs), turns)
