"""Who may use a server."""

import socket

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from onward.cli.app import run
from onward.serve.http.guard import Guard, Policy
from onward.serve.http.metrics import Metrics


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "wrong_host"),
        ({"Host": "192.168.0.9"}, "wrong_host"),
        ({"Origin": "http://evil.example"}, "wrong_origin"),
        ({"Origin": "null"}, "wrong_origin"),
    ],
)
def test_other_names_and_sites_are_refused(server, headers, code: str) -> None:
    answer = server.client.get("/v1/models", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)


def test_its_own_page_may_use_it(server) -> None:
    answer = server.client.get("/v1/models", headers={"Origin": server.url})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_a_token_is_asked_for(start, model) -> None:
    client = start(model, environment={"ONWARD_TOKEN": "secret"}).client
    for wrong in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
        assert client.get("/v1/models", headers=wrong).status_code == 401
    assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_who_listens_to_others_needs_a_token(capsys, monkeypatch) -> None:
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
def test_what_is_malformed_is_the_callers_fault(server, raw: bytes) -> None:
    host, _, port = server.url[7:].partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(raw)
        assert connection.recv(100).split()[1][:1] == b"4"
    assert server.client.get("/healthz").json() == {"status": "ok"}


def test_pages_of_others_are_let_in_when_told(start, model) -> None:
    client = start(model, "--origin", "http://mine.example").client
    headers = {"Origin": "http://mine.example"}
    answer = client.get("/v1/models", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "http://mine.example")
    asked = client.options("/v1/completions", headers=headers | {"Access-Control-Request-Method": "POST"})
    assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (204, "GET, POST, DELETE")
    assert client.get("/v1/models", headers={"Origin": "http://other.example"}).status_code == 403


def test_a_body_and_a_head_have_their_size(server) -> None:
    answer = server.client.post("/v1/score", content=b" " * (1 << 20) + b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert server.client.get("/healthz", headers={"X-Long": "x" * 20_000}).status_code == 400


def test_a_request_that_fails_is_counted() -> None:
    async def fail(_: Request) -> Response:
        raise RuntimeError("a fault of ours")

    async def say(_: Request, __: Exception) -> Response:
        return PlainTextResponse("failed", 500)

    metrics = Metrics()
    app = Starlette(routes=[Route("/x", fail)], exception_handlers={Exception: say})
    client = TestClient(Guard(app, Policy(), metrics), "http://localhost", raise_server_exceptions=False)
    assert client.get("/x").status_code == 500
    assert metrics.requests.value(method="GET", route="/x", status="500") == 1
