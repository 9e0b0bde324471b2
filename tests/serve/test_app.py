"""What the application says of what it does not have."""

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from onward.serve.app import _not_found


@pytest.mark.parametrize(
    ("method", "path", "status", "headers", "remedy"),
    [
        ("POST", "/v1/chat/completions", 404, None, "as prompt to /v1/completions"),
        ("POST", "/v1/embeddings", 404, None, "/v1/score"),
        ("GET", "/v2/anything", 404, None, "/openapi.json"),
        ("GET", "/v1/completions", 405, {"Allow": "POST"}, "ask it with POST"),
    ],
)
def test_what_is_not_there_has_a_remedy(
    method: str, path: str, status: int, headers: dict[str, str] | None, remedy: str
) -> None:
    request = Request({"type": "http", "method": method, "path": path, "headers": [], "query_string": b""})
    response = asyncio.run(_not_found(request, HTTPException(status, headers=headers)))
    error = json.loads(bytes(response.body))["error"]
    assert (response.status_code, error["message"]) == (status, f"there is no {method} {path}")
    assert remedy in error["hint"]
