"""What every request passes before it is looked at: host, origin, token; and what every answer carries.

A name that leads to this machine by a trick of DNS is not among the hosts, and the page of another site is
not among the origins, so neither can use a server that listens to this machine alone.
"""

import base64
import hmac
import time
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onward.serve.http.errors import ApiError
from onward.serve.http.metrics import Metrics
from onward.serve.http.responses import refuse

_OPEN = ("/", "/watch", "/healthz", "/openapi.json")
_PREFIX = "onward.token."
_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Who may use the server.

    Attributes:
        token: that requests must carry; None: none.
        hosts: by which names it may be reached, besides loopback's, and addresses if it has a token.
        origins: of the pages that may use it, besides its own; "*" is all.
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


class Guard:
    """Wraps the application.

    Args:
        app: what is guarded.
        policy: who may use it.
        metrics: are told of requests and their seconds.
    """

    def __init__(self, app: ASGIApp, policy: Policy, metrics: Metrics) -> None:
        self._app, self._policy, self._metrics = app, policy, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        refusal = self._objection(scope, headers, origin)
        if scope["type"] == "websocket":
            if refusal:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message), self._allowed(origin))
            await send(message)

        try:
            if refusal:
                await refuse(refusal)(scope, receive, counted)
            elif scope["method"] == "OPTIONS" and self._allowed(origin):
                await _preflight(counted)
            else:
                await self._app(scope, receive, counted)
        finally:  # what failed was answered with 500, and is raised again for the log
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.add(method=method, route=route, status=str(status))
            self._metrics.seconds.observe(time.perf_counter() - started, route=route)

    def _objection(self, scope: Scope, headers: Headers, origin: str | None) -> ApiError | None:
        """Why a request is not let through."""
        host = headers.get("host", "")
        if not self._is_host(host):
            hint = "--allow-host NAME lets a name in"
            return ApiError(403, "wrong_host", f"this server is not called {host[:80]!r}", hint=hint)
        if origin is not None and not self._is_own(origin, host) and not self._allowed(origin):
            hint = "--origin ORIGIN lets pages of a site in"
            return ApiError(
                403, "wrong_origin", f"pages of {origin[:80]!r} may not use this server", hint=hint
            )
        path = scope["path"]
        if self._policy.token is None or path in _OPEN or path.startswith("/page/"):
            return None
        if scope.get("method") == "OPTIONS" and self._allowed(origin):
            return None  # a browser asks before it sends the token
        if not hmac.compare_digest(_given(scope, headers), self._policy.token.encode()):
            challenge = {"WWW-Authenticate": "Bearer"}
            message = "expected a header Authorization: Bearer TOKEN with the server's token"
            hint = "it is what the server was started with: --token, or ONWARD_TOKEN"
            return ApiError(401, "invalid_token", message, hint=hint, headers=challenge)
        return None

    def _is_host(self, host: str) -> bool:
        name = _name(host)
        if name == "localhost" or name in self._policy.hosts:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._policy.token is not None  # no name leads to an address

    def _is_own(self, origin: str, host: str) -> bool:
        scheme, _, rest = origin.partition("://")
        return scheme in ("http", "https") and rest == host

    def _allowed(self, origin: str | None) -> str | None:
        """The origin, if pages of it were let in."""
        origins = self._policy.origins
        return origin if origin is not None and (origin in origins or "*" in origins) else None


def _given(scope: Scope, headers: Headers) -> bytes:
    """The token that a request carries."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip().encode("latin-1", "replace")
    for protocol in scope.get("subprotocols", []):
        if protocol.startswith(_PREFIX):
            coded = protocol[len(_PREFIX) :]
            try:
                return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
            except ValueError:
                return b""
    return b""


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _complete(headers: MutableHeaders, origin: str | None) -> None:
    """Headers that every answer has."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Vary"] = "Origin"


async def _preflight(send: Send) -> None:
    headers = [
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", b"authorization, content-type"),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
