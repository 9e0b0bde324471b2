"""Answers that would be too large are refused, and large ones are the same as small ones."""

import json
from typing import Any

import pytest
from tests.serve.conftest import Serve

from onward.serve.engine.typed_text import SLICE
from onward.serve.http.work_thread import SMALL

LONG = "the state goes on where the lane ended. " * 20
assert len(LONG) > 2 * SLICE


ECHO = {"prompt": "the lane", "echo": True, "max_tokens": 0}


@pytest.mark.parametrize(
    ("path", "body", "size"),
    [
        ("/v1/completions", ECHO | {"n": 13}, 104),
        ("/v1/completions", ECHO | {"logprobs": 12}, 104),
        ("/v1/completions", ECHO | {"logprobs": True, "n": 7}, 112),
        ("/v1/completions", ECHO | {"prompt": ["the lane"] * 13}, 104),
        ("/v1/completions", ECHO | {"prompt": [[5] * 8] * 13, "stream": True}, 104),
        ("/v1/completions", {"max_tokens": 101}, 101),
        ("/v1/completions", {"max_tokens": 26, "logprobs": 3}, 104),
        ("/v1/completions", {"max_tokens": 26, "n": 4}, 104),
        ("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 17, "n": 3}, 102),
        ("/v1/score", {"text": "the lane", "alternatives": 12}, 104),
    ],
)
def test_an_answer_above_the_limit_is_refused(
    serve: Serve, path: str, body: dict[str, Any], size: int
) -> None:
    client = serve(answer_symbols=100)
    answer = client.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (413, "too_large")
    assert f"expected an answer of at most 100 symbols and alternatives, got {size} (" in error["message"]
    assert error["hint"]
    metrics = client.get("/metrics").text
    assert "onward_symbols_written_total 0.0\n" in metrics
    assert "onward_symbols_read_total 0.0\n" in metrics


def test_an_answer_at_the_limit_is_given(serve: Serve) -> None:
    client = serve(answer_symbols=96)
    assert client.post("/v1/completions", json=ECHO | {"n": 4, "logprobs": 2}).is_success
    assert client.post("/v1/completions", json={"max_tokens": 48, "logprobs": 1}).is_success
    assert client.post("/v1/score", json={"text": "the lane", "alternatives": 11}).is_success


def test_a_place_for_large_answers_is_freed(serve: Serve) -> None:
    client = serve(large_answer_symbols=10, large_answers=1)
    for stream in (False, True, False):
        answer = client.post("/v1/completions", json={"max_tokens": 11, "stream": stream})
        assert answer.is_success
    assert client.post("/v1/score", json={"text": "the lane", "alternatives": 1}).is_success


def test_large_answers_above_the_limit_wait_for_others(serve: Serve) -> None:
    client = serve(large_answer_symbols=10, large_answers=0)
    for path, body in (
        ("/v1/completions", {"max_tokens": 11}),
        ("/v1/completions", {"max_tokens": 11, "stream": True}),
        ("/v1/score", {"text": "the lane goes"}),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy"), path
        assert answer.headers["Retry-After"] == "1"
    assert client.post("/v1/completions", json={"max_tokens": 10}).is_success


def test_every_choice_has_the_same_echo(serve: Serve) -> None:
    client = serve()
    body = {"prompt": LONG, "echo": True, "logprobs": 3, "max_tokens": 30, "seed": 1}
    alone = client.post("/v1/completions", json=body).json()["choices"][0]
    choices = client.post("/v1/completions", json=body | {"n": 4}).json()["choices"]
    assert choices[0] == alone
    for i, choice in enumerate(choices):
        logprobs, count = choice["logprobs"], len(LONG)
        assert (choice["index"], choice["text"][:count]) == (i, LONG)
        assert "".join(logprobs["tokens"]) == choice["text"]
        assert logprobs["text_offset"] == [*range(len(choice["text"]))]
        for name in ("token_logprobs", "top_logprobs"):
            assert logprobs[name][:count] == alone["logprobs"][name][:count]
            assert len(logprobs[name]) == len(choice["text"])


def test_a_stream_has_the_echo_and_the_log_probabilities_of_the_whole_answer(serve: Serve) -> None:
    client = serve()
    body = {"prompt": LONG, "echo": True, "logprobs": 3, "max_tokens": 30, "seed": 1, "n": 2}
    whole = client.post("/v1/completions", json=body).json()["choices"]
    texts: list[str] = ["", ""]
    logprobs: list[dict[str, list[Any]]] = [{}, {}]
    for event in client.post("/v1/completions", json=body | {"stream": True}).text.split("\n\n")[:-2]:
        (choice,) = json.loads(event.removeprefix("data: "))["choices"]
        texts[choice["index"]] += choice["text"]
        for name, values in choice["logprobs"].items():
            logprobs[choice["index"]].setdefault(name, []).extend(values)
    assert texts == [choice["text"] for choice in whole]
    assert logprobs == [choice["logprobs"] for choice in whole]


@pytest.mark.parametrize("count", [1, 40])
def test_a_large_score_has_the_symbols_of_the_text(serve: Serve, count: int) -> None:
    text = LONG[:100] * count
    answer = serve().post("/v1/score", json={"text": text, "alternatives": 4})
    found = answer.json()
    is_large = 5 * len(text) > SMALL
    assert ("content-length" in answer.headers) != is_large
    assert "".join(symbol["text"] for symbol in found["symbols"]) == text
    assert found["bits"] == pytest.approx(sum(symbol["bits"] for symbol in found["symbols"]))
    assert found["count"] == len(text)
    assert all(len(symbol["alternatives"]) == 4 for symbol in found["symbols"])
