"""Tells clients apart, for limits that one client must not use up alone."""

from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

_IPV6_NETWORK_BITS = 64  # the bits below these are the client's own to choose


class Client(NamedTuple):
    """Who sent a request.

    Attributes:
        address: its address, or its network if the address is of version 6.
        is_page: whether the request comes from a page of this server, as its browser says. So programs of a
            machine cannot use up the places of the page on the same machine.
    """

    address: str
    is_page: bool


def client_of(scope: Scope) -> Client:
    """Returns who sent a request."""
    headers, host = Headers(scope=scope), (scope.get("client") or ("", 0))[0]
    origin = headers.get("origin", "").partition("://")[2]  # of a WebSocket: browsers may send no site
    is_own = bool(origin) and origin == headers.get("host")
    return Client(_network(host), is_own or headers.get("sec-fetch-site") == "same-origin")


def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:  # of a socket without addresses
        return host
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(int(address) >> _IPV6_NETWORK_BITS)
    return host
