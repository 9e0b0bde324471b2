"""Tells clients apart, for limits that one client must not use up alone."""

from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

_IPV6_NETWORK_BITS = 64  # the bits below these are the client's own to choose


class Client(NamedTuple):
    """The sender of a request.

    Attributes:
        address: its address, or its network if the address is of version 6.
        is_page: whether the request comes from a page of this server, as its browser says. A program and the
            page on one machine are two clients, so the program cannot use up the page's share of a limit.
    """

    address: str
    is_page: bool


def client_of(scope: Scope) -> Client:
    """Returns the client that sent a request."""
    headers, host = Headers(scope=scope), (scope.get("client") or ("", 0))[0]
    # for a WebSocket, browsers may leave out Sec-Fetch-Site
    origin = headers.get("origin", "").partition("://")[2]
    is_own = bool(origin) and origin == headers.get("host")
    return Client(_network(host), is_own or headers.get("sec-fetch-site") == "same-origin")


def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:  # the socket has no addresses
        return host
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(int(address) >> _IPV6_NETWORK_BITS)
    return host
