"""Responses to requests for unknown paths and methods."""

import pytest
from tests.serve.conftest import Server


@pytest.mark.parametrize(
    ("method", "path", "status", "remedy"),
    [
        ("POST", "/v1/chat/completions", 404, "as prompt to /v1/completions"),
        ("POST", "/v1/embeddings", 404, "/v1/score"),
        ("GET", "/v2/anything", 404, "/openapi.json"),
        ("GET", "/page/nothing.js", 404, "/openapi.json"),
        ("GET", "/v1/completions", 405, "use POST"),
    ],
)
def test_an_unknown_path_or_method_has_a_remedy(
    server: Server, method: str, path: str, status: int, remedy: str
) -> None:
    answer = server.client.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["message"]) == (status, f"there is no {method} {path}")
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    assert remedy in error["hint"]
