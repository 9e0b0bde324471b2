"""Addresses of streams: `kafka://HOST[:PORT][,HOST...]/TOPIC` and `redis://HOST[:PORT]/STREAM`."""

import re
from dataclasses import dataclass
from typing import Literal

from onward.errors import InputError

_PORTS = {"kafka": 9092, "redis": 6379}
_SCHEME = re.compile(r"(kafka|redis)://", re.IGNORECASE)
_HOST = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?")
_NAME = re.compile(r"(?!\.{1,2}$)[\w.-]{1,200}", re.ASCII)


@dataclass(frozen=True)
class StreamAddress:
    """The address of a topic of Kafka, or of a stream of Redis.

    Attributes:
        scheme: "kafka" or "redis".
        servers: pairs of host and port; one for Redis.
        name: name of the topic or stream. It can be part of a file name.
    """

    scheme: Literal["kafka", "redis"]
    servers: tuple[tuple[str, int], ...]
    name: str

    @property
    def bootstrap(self) -> str:
        """The servers as Kafka's clients write them: host:port,host:port."""
        return ",".join(f"{host}:{port}" for host, port in self.servers)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bootstrap}/{self.name}"


def is_stream(source: str) -> bool:
    """Whether a source is the address of a stream, rather than a file."""
    return _SCHEME.match(source) is not None


def parse_address(text: str) -> StreamAddress:
    """Returns the address that a text holds.

    Raises:
        InputError: the text is not such an address.
    """
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in ("kafka", "redis"):
        raise _wrong(text, "kafka")
    hosts, _, name = rest.partition("/")
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    servers = tuple((host[1], int(host[2] or _PORTS[scheme])) for host in found if host)
    is_one = scheme == "kafka" or len(found) == 1
    if not all(found) or not is_one or max(port for _, port in servers) > 65535 or not _NAME.fullmatch(name):
        raise _wrong(text, scheme)
    return StreamAddress(scheme, servers, name)


def _wrong(text: str, scheme: str) -> InputError:
    if scheme == "redis":
        return InputError(
            f"expected the address of a stream, got {text!r}",
            hint="write it as redis://localhost:6379/STREAM",
        )
    hint = "write it as kafka://localhost:9092/TOPIC; several servers are separated by commas"
    return InputError(f"expected the address of a topic, got {text!r}", hint=hint)
