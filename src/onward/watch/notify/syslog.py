"""Syslog: each notice is a message of RFC 5424, to the local socket, or over UDP or TCP.

UDP sends one datagram for each message (RFC 5426), TCP counts the octets of each message (RFC 6587). Python's
SysLogHandler writes the older format of RFC 3164, and ends messages over TCP with a zero byte.
"""

import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from onward.errors import InputError
from onward.printable import printable
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.iso_time import time_text
from onward.watch.stream.notifier import DeliveryError
from onward.watch.stream.store import Notice

LOCAL = "local"
_DEVICE = Path("/dev/log")
_DAEMON, _WARNING, _NOTICE = 3, 4, 5  # a facility, and two severities
_LONGEST = 2048  # bytes that every receiver of UDP should take (RFC 5426)
_TIMEOUT = 10.0
_PORTS = {"udp": 514, "tcp": 601}
_BOM = "\ufeff"


class Syslog:
    """A syslog receiver. No receiver acknowledges messages: sent is delivered.

    Args:
        address: local, udp://HOST:PORT or tcp://HOST:PORT.
        detector: name of the detector, for the messages.
        device: the local socket.

    Raises:
        InputError: the address is not such an address.
    """

    def __init__(self, address: str, detector: str, device: Path = _DEVICE) -> None:
        self._detector, self._device = detector, device
        self._kind, self._host, self._port = _parsed(address)
        self.repeat_seconds: float | None = None  # see `Notifier`
        self.id = self.target = f"syslog {address}"

    def send(self, name: str, notice: Notice) -> None:
        """See `Notifier.send`."""
        message = self._message(name, notice).encode()
        try:
            if self._kind == "tcp":
                with socket.create_connection((self._host, self._port), _TIMEOUT) as connection:
                    connection.sendall(b"%d %s" % (len(message), message))
            elif self._kind == "udp":
                self._send_datagram(_cut(message))
            else:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
                    local.settimeout(_TIMEOUT)
                    local.connect(str(self._device))
                    local.send(_cut(message))
        except (OSError, UnicodeError) as error:  # the latter for a host name that cannot be encoded
            raise DeliveryError(getattr(error, "strerror", None) or str(error)) from error

    def _send_datagram(self, message: bytes) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as sender:
            sender.settimeout(_TIMEOUT)
            sender.sendto(message, address)

    def _message(self, name: str, notice: Notice) -> str:
        is_alarm = isinstance(notice, Alarm)
        priority = 8 * _DAEMON + (_WARNING if is_alarm else _NOTICE)
        incident = notice.membership.incident if is_alarm else notice.number
        kind = "opened" if is_alarm else "closed"
        data = {"id": name, "detector": self._detector, "incident": str(incident)}
        data |= {} if notice.partition is None else {"partition": str(notice.partition)}
        parameters = "".join(f' {key}="{_escaped(value)}"' for key, value in data.items())
        host = "".join(char for char in socket.gethostname() if "!" <= char <= "~")[:255] or "-"
        header = f"<{priority}>1 {time_text(time.time())} {host} onward {os.getpid()} {kind}"
        text = printable(notice.as_line().replace("\t", " | "))
        return f"{header} [onward@32473{parameters}] {'' if text.isascii() else _BOM}{text}"


def _escaped(value: str) -> str:
    """Escapes the characters that end a value of structured data."""
    return "".join(f"\\{char}" if char in '"\\]' else char for char in printable(value))


def _cut(message: bytes) -> bytes:
    """Returns a message that fits into a datagram of any receiver."""
    return message[:_LONGEST].decode(errors="ignore").encode()


def _parsed(address: str) -> tuple[str, str, int]:
    """Returns the kind, the host and the port of an address."""
    if address == LOCAL:
        return LOCAL, "", 0
    try:
        parts = urlsplit(address)
        kind, host, port = parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
        if host and not parts.path + parts.query + parts.fragment:
            return kind, host, port
    except (ValueError, KeyError):  # another scheme, or a port that is not a number
        pass
    raise InputError(
        f"--syslog must be local, udp://HOST:PORT or tcp://HOST:PORT, got {address!r}",
        hint="write it as local or udp://loghost:514",
    )
