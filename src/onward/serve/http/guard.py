"""Checks of every request before it reaches the application: host, origin, CORS and token.

The checks of host and origin protect a server that only listens to its own machine: neither a DNS name that
was pointed at it (DNS rebinding) nor the page of another site can use it. For images, scripts and frames a
browser sends no origin, but the header Sec-Fetch-Site (Fetch Metadata Request Headers, W3C).
"""

import base64
import hmac
import secrets
import time
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onward.serve.http.errors import ApiError
from onward.serve.http.metrics import Metrics
from onward.serve.http.responses import error_response

REQUEST_ID = "onward.request_id"
"""Key of the id of a request in its scope. The response has it in the header X-Request-Id."""

_WITHOUT_TOKEN = ("/", "/watch", "/healthz", "/openapi.json")
_FOREIGN = ("cross-site", "same-site")  # all ports of localhost are one site, but not one origin
_TOKEN_PROTOCOL = "onward.token."
_ORIGIN_HINT = "start the server with --origin ORIGIN to allow the pages of a site, which must use CORS"
_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")
_CORS_METHODS = ("GET", "POST", "DELETE")
_EXPOSED_HEADERS = ("ETag", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Who may use the server.

    Attributes:
        token: bearer token that requests must carry; None: no token is needed.
        hosts: further names of the server. Loopback names are always allowed, addresses if there is a token.
        origins: sites whose pages may use the server, besides its own page; "*" allows all.
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


def guarded(app: ASGIApp, policy: Policy, metrics: Metrics) -> ASGIApp:
    """Wraps an application so that only requests that the policy allows reach it."""
    if policy.token is not None:
        app = TokenGuard(app, policy.token)
    if policy.origins:
        app = CORSMiddleware(
            app,
            allow_origins=policy.origins,
            allow_methods=_CORS_METHODS,
            allow_headers=["*"],  # clients send their own headers, such as OpenAI's x-stainless-os
            expose_headers=_EXPOSED_HEADERS,
            allow_private_network=True,
        )
    return RequestObserver(OriginGuard(app, policy), metrics)


class RequestObserver:
    """Counts requests, and adds the headers that every response has."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        scope[REQUEST_ID] = request_id = f"req-{secrets.token_hex(12)}"

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:  # a request that failed was answered with 500, and raises again for the log
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)


class OriginGuard:
    """Refuses requests to other hosts, and from pages of other sites."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self._refusal(Headers(scope=scope), scope["path"])
        if refusal:
            await _refuse(refusal, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> ApiError | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_host(host):
            message = f"expected a host name of this server, got {host[:80]!r}"
            return ApiError(
                403, "wrong_host", message, hint="start the server with --allow-host NAME to allow a name"
            )
        if origin is not None and not self._is_allowed(origin, host):
            message = f"expected a request from an allowed origin, got {origin[:80]!r}"
            return ApiError(403, "wrong_origin", message, hint=_ORIGIN_HINT)
        if origin is None and self._is_foreign(headers, path):
            message = "expected a request from an allowed origin, got one of another site without an origin"
            return ApiError(403, "wrong_origin", message, hint=_ORIGIN_HINT)
        return None

    def _is_foreign(self, headers: Headers, path: str) -> bool:
        """Whether the page of another site makes the request; a link to an open page is fine."""
        is_link = headers.get("sec-fetch-mode") == "navigate" and path in _WITHOUT_TOKEN
        is_open = "*" in self._policy.origins or is_link
        return headers.get("sec-fetch-site") in _FOREIGN and not is_open

    def _is_host(self, host: str) -> bool:
        name = _name(host)
        if name == "localhost" or name in self._policy.hosts:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._policy.token is not None  # DNS cannot rebind an address

    def _is_allowed(self, origin: str, host: str) -> bool:
        scheme, _, rest = origin.partition("://")
        is_own = scheme in ("http", "https") and rest == host
        return is_own or origin in self._policy.origins or "*" in self._policy.origins


class TokenGuard:
    """Refuses requests without the token. The pages, /healthz and /openapi.json need none."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_open(scope["path"]) or self._has_token(scope):
            await self._app(scope, receive, send)
            return
        refusal = ApiError(
            401,
            "invalid_token",
            "expected the server's token in a header `Authorization: Bearer TOKEN`, got none or a wrong one",
            hint="use the token that the server was started with (--token or ONWARD_TOKEN)",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await _refuse(refusal, scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in _WITHOUT_TOKEN or path.startswith("/page/")

    def _has_token(self, scope: Scope) -> bool:
        return hmac.compare_digest(_token_of(scope), self._token)


async def _refuse(refusal: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await error_response(refusal)(scope, receive, send)


def _token_of(scope: Scope) -> bytes:
    """Returns the token of a request: browsers send it to a WebSocket as a subprotocol."""
    kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip().encode("latin-1", "replace")
    for protocol in scope.get("subprotocols", []):
        if protocol.startswith(_TOKEN_PROTOCOL):
            encoded = protocol.removeprefix(_TOKEN_PROTOCOL)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            except ValueError:
                return b""
    return b""


def _name(host: str) -> str:
    """Returns the name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
