"""Requests above a limit are refused with the limit in the message, and leave nothing behind."""

from typing import Any

import pytest
from starlette.testclient import WebSocketDenialResponse
from tests.serve.conftest import Serve


@pytest.mark.parametrize(
    ("limits", "path", "body", "refused"),
    [
        ({"body_bytes": 40}, "/v1/score", {"text": "x" * 40}, (413, "too_large", None)),
        ({"text_characters": 4}, "/v1/score", {"text": "x" * 5}, (413, "too_large", "text")),
        ({"text_characters": 4}, "/v1/sessions", {"text": "x" * 5}, (413, "too_large", "text")),
        ({"text_characters": 4}, "/v1/novelty", {"text": "x" * 5}, (413, "too_large", "text")),
        ({"prompt_symbols": 4}, "/v1/completions", {"prompt": ["the", "la"]}, (413, "too_large", "prompt")),
        ({"max_tokens": 4}, "/v1/completions", {"max_tokens": 5}, (400, "invalid_value", "max_tokens")),
        ({"choices": 4}, "/v1/completions", {"n": 5}, (400, "invalid_value", "n")),
        ({"choices": 4}, "/v1/completions", {"n": 3, "prompt": ["a"] * 2}, (400, "invalid_value", "n")),
        ({"choices": 4}, "/v1/completions", {"prompt": ["a"] * 5}, (400, "invalid_value", "prompt")),
        ({"adapting": 0}, "/v1/sessions", {"adapt": True}, (429, "too_many_adapting", "adapt")),
        ({"session_megabytes": 0}, "/v1/sessions", {"adapt": True}, (429, "too_many_adapting", "adapt")),
    ],
)
def test_requests_above_a_limit_are_refused(
    serve: Serve,
    limits: dict[str, int],
    path: str,
    body: dict[str, Any],
    refused: tuple[int, str, str | None],
) -> None:
    client = serve(**limits)
    answer = client.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == refused
    assert "expected" in error["message"]
    assert "onward_sessions 0.0\n" in client.get("/metrics").text


def test_requests_at_a_limit_are_accepted(serve: Serve) -> None:
    client = serve(body_bytes=60, text_characters=4, prompt_symbols=5, max_tokens=4, choices=4, adapting=1)
    for path, body in (
        ("/v1/score", {"text": "lane"}),
        ("/v1/sessions", {"text": "lane", "adapt": True}),
        ("/v1/completions", {"prompt": ["the", "la"], "n": 2, "max_tokens": 4}),
    ):
        assert client.post(path, json=body).is_success, path


def test_an_edit_that_makes_the_text_too_long_changes_nothing(serve: Serve) -> None:
    client = serve(text_characters=6)
    path = f"/v1/sessions/{client.post('/v1/sessions', json={'text': 'lane'}).json()['id']}"
    assert client.post(f"{path}/edit", json={"insert": "s, a"}).status_code == 413
    assert client.post(f"{path}/edit", json={"insert": "s, "}).status_code == 413
    assert client.post(f"{path}/edit", json={"insert": "s, a", "at": 2, "delete": 2}).status_code == 200
    assert client.get(path).json()["text"] == "las, a"


@pytest.mark.parametrize("body", [{}, {"adapt": True}])
def test_a_busy_server_says_when_to_try_again(serve: Serve, body: dict[str, Any]) -> None:
    client = serve(waiting=0)
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/v1/completions", {}),
        ("/v1/score", {"text": "the"}),
        ("/v1/sessions", body),
    ]
    for path, fields in requests:
        answer = client.post(path, json=fields)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy"), path
        assert answer.headers["Retry-After"] == "1"
    assert "onward_sessions 0.0\n" in client.get("/metrics").text


def test_one_client_cannot_open_all_websockets(serve: Serve) -> None:
    client = serve(sockets=4)
    path = f"ws://localhost/v1/sessions/{client.post('/v1/sessions', json={}).json()['id']}/ws"
    with client.websocket_connect(path), client.websocket_connect(path) as second:
        with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect(path):
            pass
        assert (caught.value.status_code, caught.value.json()["error"]["code"]) == (429, "busy")
        assert caught.value.headers["Retry-After"] == "5"
        with client.websocket_connect(path, headers={"Origin": "http://localhost"}) as page:
            for socket in (second, page):
                socket.send_json({"insert": "a"})
                assert socket.receive_json()["version"]
    with client.websocket_connect(path):
        pass
