"""Access to a server: hosts, origins, tokens, and the preflight requests of browsers."""

import socket
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.serve.conftest import Server, Start

from onward.cli.app import run
from onward.serve.http.guard import Policy, guarded
from onward.serve.http.metrics import Metrics

SITE = "http://mine.example"
STAINLESS = ("arch", "lang", "os", "package-version", "retry-count", "runtime", "runtime-version", "timeout")
OPENAI_HEADERS = ", ".join(["authorization", "content-type", *(f"x-stainless-{name}" for name in STAINLESS)])
"""The headers that OpenAI's JavaScript client sends from a browser."""


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "wrong_host"),
        ({"Host": "192.168.0.9"}, "wrong_host"),
        ({"Origin": "http://evil.example"}, "wrong_origin"),
        ({"Origin": "null"}, "wrong_origin"),
    ],
)
def test_other_hosts_and_origins_are_refused(server: Server, headers: dict[str, str], code: str) -> None:
    answer = server.client.get("/v1/models", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)


LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/models", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),  # an image
        ("/v1/models", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),  # another port
        ("/v1/models", {"Sec-Fetch-Site": "cross-site"} | LINK, 403),
        ("/page/page.js", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/", {"Sec-Fetch-Site": "cross-site"} | LINK, 200),
        ("/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("/v1/models", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("/v1/models", {"Sec-Fetch-Site": "none"} | LINK, 200),  # typed by the user
    ],
)
def test_pages_of_other_sites_may_only_link_to_pages(
    server: Server, path: str, headers: dict[str, str], status: int
) -> None:
    answer = server.client.get(path, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "wrong_origin"
        assert "--origin" in answer.json()["error"]["hint"]


def test_the_servers_own_page_may_use_it(server: Server) -> None:
    answer = server.client.get("/v1/models", headers={"Origin": server.url})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_requests_need_the_token(start: Start, model: Path) -> None:
    client = start(model, environment={"ONWARD_TOKEN": "secret"}).client
    for wrong in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
        assert client.get("/v1/models", headers=wrong).status_code == 401
    assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
    for path in ("/healthz", "/openapi.json", "/", "/page/page.js"):
        assert client.get(path).status_code == 200


def test_listening_on_other_addresses_needs_a_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONWARD_TOKEN", raising=False)
    assert run(["serve", "model.onward", "--host", "0.0.0.0"]) == 2
    assert "expected a token" in capsys.readouterr().err


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n\xff\xfe{}[]123",
        b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n[[[[[",
    ],
)
def test_malformed_requests_get_a_client_error(server: Server, raw: bytes) -> None:
    host, _, port = server.url[7:].partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(raw)
        assert connection.recv(100).split()[1][:1] == b"4"
    assert server.client.get("/healthz").json() == {"status": "ok"}


class TestAllowedOrigin:
    @pytest.fixture
    def client(self) -> TestClient:
        async def show(_: Request) -> Response:
            return PlainTextResponse("shown", headers={"Retry-After": "1"})

        policy = Policy(origins=(SITE,), token="secret")
        app = Starlette(routes=[Route("/v1/models", show, methods=["GET", "POST"])])
        return TestClient(guarded(app, policy, Metrics()), "http://localhost")

    def test_its_pages_may_use_the_server(self, client: TestClient) -> None:
        headers = {"Origin": SITE, "Authorization": "Bearer secret"}
        answer = client.get("/v1/models", headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, SITE)
        assert client.get("/v1/models", headers=headers | {"Origin": "http://b.example"}).status_code == 403

    def test_its_pages_must_use_cors(self, client: TestClient) -> None:
        headers = {"Authorization": "Bearer secret", "Sec-Fetch-Site": "cross-site"}
        assert client.get("/v1/models", headers=headers | {"Origin": SITE}).status_code == 200
        assert client.get("/v1/models", headers=headers).status_code == 403

    def test_the_preflight_of_openais_javascript_client_is_answered(self, client: TestClient) -> None:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": OPENAI_HEADERS}
        answer = client.options("/v1/completions", headers={"Origin": SITE, **asked})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == SITE
        assert "POST" in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert set(OPENAI_HEADERS.split(", ")) <= set(allowed)

    def test_scripts_may_read_the_headers_that_clients_need(self, client: TestClient) -> None:
        answer = client.get("/v1/models", headers={"Origin": SITE, "Authorization": "Bearer secret"})
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"Retry-After", "Location", "X-Request-Id"} <= set(exposed)

    def test_scripts_may_read_why_a_request_was_refused(self, client: TestClient) -> None:
        answer = client.get("/v1/models", headers={"Origin": SITE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, SITE)

    def test_the_preflight_of_another_site_is_refused(self, client: TestClient) -> None:
        asked = {"Origin": "http://b.example", "Access-Control-Request-Method": "POST"}
        answer = client.options("/v1/models", headers=asked)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_origin")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.slow
def test_the_option_origin_allows_a_site(start: Start, model: Path) -> None:
    client = start(model, "--origin", SITE).client
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": OPENAI_HEADERS}
    assert client.options("/v1/completions", headers={"Origin": SITE, **asked}).status_code == 200
    answer = client.get("/v1/models", headers={"Origin": SITE})
    assert answer.headers["access-control-allow-origin"] == SITE


def test_bodies_and_heads_have_a_maximal_size(server: Server) -> None:
    answer = server.client.post("/v1/score", content=b" " * (1 << 20) + b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert server.client.get("/healthz", headers={"X-Long": "x" * 20_000}).status_code == 400


def test_a_request_that_fails_is_counted() -> None:
    async def fail(_: Request) -> Response:
        raise RuntimeError("a bug")

    async def answer(_: Request, __: Exception) -> Response:
        return PlainTextResponse("failed", 500)

    metrics = Metrics()
    app = Starlette(routes=[Route("/x", fail)], exception_handlers={Exception: answer})
    client = TestClient(guarded(app, Policy(), metrics), "http://localhost", raise_server_exceptions=False)
    response = client.get("/x")
    assert response.status_code == 500
    assert response.headers["x-request-id"].startswith("req-")
    families = text_string_to_metric_families(metrics.export()[0].decode())
    (counted,) = [s for f in families for s in f.samples if s.name == "onward_requests_total"]
    assert counted.labels == {"method": "GET", "route": "/x", "status": "500"}
    assert counted.value == 1


def test_with_all_origins_allowed_no_site_is_foreign() -> None:
    app = Starlette(routes=[Route("/v1/models", lambda _: PlainTextResponse("shown"))])
    client = TestClient(guarded(app, Policy(origins=("*",)), Metrics()), "http://localhost")
    assert client.get("/v1/models", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
