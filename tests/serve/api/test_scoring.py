"""Scores with learning are those of the library, and are refused above their limit."""

from pathlib import Path

import pytest
from tests.serve.conftest import Serve, Server

import onward
from onward.inference.scoring.protocol import Learn

TEXT = "the state goes on where the lane ended. " * 12


@pytest.mark.parametrize("learn", ["none", "memory", "weights", "both"])
def test_a_score_is_that_of_the_library(server: Server, model: Path, learn: Learn) -> None:
    answer = server.client.post("/v1/score", json={"text": TEXT, "learn": learn, "alternatives": 2}).json()
    expected = onward.load(model).score(TEXT, learn=learn, lanes=1)
    assert answer["bits_per_symbol"] == pytest.approx(expected.bits_per_symbol, rel=1e-3)
    assert answer["count"] == len(answer["symbols"]) == len(TEXT)
    for symbol in answer["symbols"]:
        first, second = (each["probability"] for each in symbol["alternatives"])
        assert 1.0001 > first + second > second > 0
        assert symbol["bits"] >= -1e-6
    again = server.client.post("/v1/score", json={"text": TEXT, "learn": "none"}).json()
    assert again["bits_per_symbol"] == pytest.approx(onward.load(model).score(TEXT).bits_per_symbol, rel=1e-3)


def test_scores_with_learning_are_limited(serve: Serve) -> None:
    client = serve(adapting=0)
    for learn in ("memory", "weights", "both"):
        answer = client.post("/v1/score", json={"text": TEXT, "learn": learn})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
        assert "models that learn" in answer.json()["error"]["message"]
    assert client.post("/v1/score", json={"text": TEXT}).is_success


def test_learn_must_be_known(serve: Serve) -> None:
    client = serve()
    for path in ("/v1/score", "/v1/sessions"):
        answer = client.post(path, json={"text": TEXT, "learn": "everything"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "learn")


def test_a_session_adapts_if_weights_learn(serve: Serve) -> None:
    client = serve()
    for fields, learned in (
        ({}, None),
        ({"learn": "none"}, None),
        ({"learn": "memory"}, None),
        ({"learn": "weights"}, 15),
        ({"learn": "both"}, 15),
        ({"adapt": True}, 15),
    ):
        answer = client.post("/v1/sessions", json={"text": TEXT, **fields}).json()
        assert answer["learned"] == learned


@pytest.mark.parametrize("learn", ["none", "memory"])
def test_a_session_has_a_memory_unless_nothing_learns(serve: Serve, model: Path, learn: Learn) -> None:
    client = serve()
    made = client.post("/v1/sessions", json={"text": TEXT, "learn": learn, "next": 100}).json()
    edited = client.post(f"/v1/sessions/{made['id']}/edit", json={"insert": "the "}).json()
    session = onward.load(model).session(memory=4 if learn == "memory" else 0)
    session.feed(TEXT + "the ")
    likely = session.next_distribution().top(1)
    assert [(each["symbol"], each["probability"]) for each in edited["next"][:1]] == [
        (symbol, pytest.approx(probability, abs=1e-4)) for symbol, probability in likely
    ]
    assert client.get("/v1/sessions/" + made["id"]).json()["next"] == edited["next"]
