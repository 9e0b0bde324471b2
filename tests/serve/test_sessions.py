"""Typing sessions: whatever was edited, the answer is that of the text."""

import json
import random
import signal

import numpy as np
import pytest
from websockets.sync.client import connect

import onward


def chances(answer) -> dict[str, float]:
    return {each["symbol"]: each["probability"] for each in answer["next"]}


def same(answer, fresh) -> None:
    a, b = chances(answer), chances(fresh)
    assert a.keys() == b.keys()
    np.testing.assert_allclose([a[name] for name in b], [*b.values()], atol=1e-5)


def test_edits_give_what_the_text_gives(server) -> None:
    rng, text, cursor = random.Random(4), "the lane", 8
    session = server.client.post("/v1/sessions", json={"text": text, "next": 100}).json()
    for number in range(1, 40):
        at = rng.randint(0, len(text)) if rng.random() < 0.5 else cursor
        delete, insert = rng.randint(0, min(3, len(text) - at)), rng.choice(["", "a", "the ", "é\n"])
        text, cursor = text[:at] + insert + text[at + delete :], at + len(insert)
        edit = {"at": at, "delete": delete, "insert": insert, "version": number - 1}
        answer = server.client.post(f"/v1/sessions/{session['id']}/edit", json=edit).json()
        assert (answer["version"], answer["length"], answer["cursor"]) == (number, len(text), cursor)
        same(answer, server.client.post("/v1/sessions", json={"text": text[:cursor], "next": 100}).json())
    assert server.client.get(f"/v1/sessions/{session['id']}").json()["text"] == text


def test_answers_are_those_of_the_library(server, model) -> None:
    answer = server.client.post("/v1/sessions", json={"text": "the st", "completions": 3}).json()
    found = onward.load(model).complete("the st", n=3, until="word", shortest=2, effort=64)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in found]
    distribution = onward.load(model).session()
    distribution.feed("the st")
    for name, chance in chances(answer).items():
        assert chance == pytest.approx(dict(distribution.next_distribution().top(99))[name], abs=1e-5)


def test_another_version_is_a_conflict_and_changes_nothing(server) -> None:
    id_ = server.client.post("/v1/sessions", json={"text": "ab"}).json()["id"]
    answer = server.client.post(f"/v1/sessions/{id_}/edit", json={"insert": "c", "version": 5})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "version_conflict")
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "ab"


def test_a_session_ends(server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    assert server.client.delete(f"/v1/sessions/{id_}").status_code == 204
    assert server.client.get(f"/v1/sessions/{id_}").status_code == 410
    assert server.client.get("/v1/sessions/never").status_code == 404


def test_a_websocket_answers_in_order(server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    with connect(f"ws{server.url[4:]}/v1/sessions/{id_}/ws") as socket:
        for letter in "the":
            socket.send(json.dumps({"insert": letter}))
        assert [json.loads(socket.recv())["version"] for _ in "the"] == [1, 2, 3]
        socket.send("no json")
        assert json.loads(socket.recv())["error"]["code"] == "invalid_json"
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "the"


def test_too_many_sessions_and_the_least_recently_used_goes(start, model) -> None:
    client = start(model, "--sessions", 2).client
    first, second = (client.post("/v1/sessions", json={}).json()["id"] for _ in range(2))
    client.get(f"/v1/sessions/{first}")
    client.post("/v1/sessions", json={})
    assert client.get(f"/v1/sessions/{first}").status_code == 200
    assert client.get(f"/v1/sessions/{second}").json()["error"]["code"] == "session_gone"


def test_what_was_driven_out_goes_on_in_the_file_with_its_wishes(start, model, tmp_path) -> None:
    arguments = (model, "--sessions", 1, "--state", tmp_path / "sessions.db")
    server = start(*arguments)
    wish = {"completions": 1, "until": 3, "next": 2}
    first = server.client.post("/v1/sessions", json={"text": "the ", **wish}).json()
    second = server.client.post("/v1/sessions", json={"text": "lane"}).json()["id"]
    path = f"/v1/sessions/{first['id']}"
    assert server.client.get(path).json() == first | {"text": "the "}
    wish = {"completions": 2, "until": "line", "next": 4}
    changed = server.client.post(f"{path}/edit", json={"insert": "l", **wish}).json()
    server.end(signal.SIGKILL)
    client = start(*arguments).client
    again = client.get(path).json()
    assert (again["text"], again["version"]) == ("the l", 1)
    assert (len(again["completions"]), len(again["next"])) == (2, 4)
    same(again, changed)
    assert client.get(f"/v1/sessions/{second}").json()["text"] == "lane"


def test_what_was_acknowledged_survives_a_kill(start, model, tmp_path) -> None:
    server = start(model, "--state", tmp_path / "sessions.db")
    made = [server.client.post("/v1/sessions", json={"text": "the "}).json()["id"] for _ in range(3)]
    before = {}
    for i, id_ in enumerate(made):
        for letter in "lane \ud800"[: 3 + i]:
            raw = json.dumps({"insert": letter, "next": 100})
            before[id_] = server.client.post(f"/v1/sessions/{id_}/edit", content=raw).json()
    server.end(signal.SIGKILL)
    again = start(model, "--state", tmp_path / "sessions.db").client
    for id_ in made:
        body = {"version": before[id_]["version"], "next": 100}
        answer = again.post(f"/v1/sessions/{id_}/edit", json=body).json()
        same(answer, before[id_])
