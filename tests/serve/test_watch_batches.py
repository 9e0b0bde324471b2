"""Batches of records over HTTP, and the alarms that they raise."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Server, Start
from tests.serve.watched import BAD, GOOD, mixed, refused, sent

from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.stream.monitor import Monitor


def test_an_alarm_has_the_event_and_what_was_expected(watch: Server, audit: Path) -> None:
    sequences = [{"key": "normal", "events": GOOD}, {"key": "odd", "events": BAD}]
    answer = sent(watch, sequences=sequences, verdicts=True)
    (alarm,) = answer["alarms"]
    score = Detector.load(audit).score_events(BAD)[1]
    assert (alarm["key"], alarm["event"], alarm["new"]) == ("odd", "boom", True)
    assert alarm["bits"] == pytest.approx(score.bits, abs=0.001)
    assert [e["event"] for e in alarm["expected"]] == [e.event for e in score.expected]
    assert alarm["p_value"] <= 0.03
    judged = Detector.load(audit).judge([GOOD, BAD], ["normal", "odd"])
    verdicts = {v["key"]: (v["p_value"], v["flagged"]) for v in answer["verdicts"]}
    assert verdicts == {v.key: (pytest.approx(v.p_value), v.flagged) for v in judged}


def test_a_sequence_continues_over_several_requests(watch: Server) -> None:
    sent(watch, end=True)
    for event in ("start", "read", "read"):
        records = [{"key": key, "event": event} for key in ("here", "there")]
        assert sent(watch, records=records)["alarms"] == []
    answer = sent(watch, records=[{"key": "here", "event": "stop"}, {"key": "there", "event": "sync"}])
    assert [(a["key"], a["event"]) for a in answer["alarms"]] == [("here", "stop")]
    assert answer["in_flight"] == 2
    ended = sent(watch, end=True, verdicts=True)
    assert {v["key"] for v in ended["verdicts"]} == {"here", "there"}
    assert ended["in_flight"] == 0


def test_lines_are_parsed_as_on_the_command_line(watch: Server) -> None:
    rows = [f"c,{event},{i}" for i, event in enumerate(BAD)]
    answer = sent(watch, lines=["key,event,time", *rows])
    (alarm,) = answer["alarms"]
    assert (alarm["line"], alarm["number"]) == (rows[1], answer["first"] + 2)
    assert alarm["time"] == "1970-01-01T00:00:01.000Z"


def test_items_that_are_not_records_are_counted_and_reported(watch: Server) -> None:
    before = watch.client.get("/v1/watch").json()["data"][0]["unparsable"]
    items: list[Any] = [
        {"key": "k", "event": "start", "last": True},
        {"key": "k"},
        {"event": "start"},
        {"key": "k", "event": "start", "time": "noon"},
        {"key": "k", "event": "start", "tme": 3},
        {"key": "k" * 1001, "event": "start"},
        ["start"],
        None,
    ]
    answer = sent(watch, records=items)
    assert answer["records"] == 1
    assert answer["unreadable"]["count"] == 7
    first = answer["unreadable"]["examples"][0]
    assert first == {
        "number": answer["first"] + 1,
        "reason": "expected event to be a text with at most 1000 characters, got null",
    }
    assert watch.client.get("/v1/watch").json()["data"][0]["unparsable"] == before + 7


def test_any_text_can_be_an_event(watch: Server) -> None:
    odd = ["\x00", "\ud800", "\u202e", "e" * 1000, "<end>", "<unknown>", ""]
    answer = watch.client.post("/v1/watch", content=json.dumps({"sequences": [{"events": odd}]}))
    assert answer.status_code == 200
    assert len(answer.json()["alarms"]) == 1
    number = answer.json()["alarms"][0]["alarm"]
    assert watch.client.get(f"/v1/watch/alarms/{number}").json()["of"] == len(odd) + 1


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 400, "invalid_value", "lines"),
        ({"lines": "a"}, 400, "invalid_value", "lines"),
        ({"lines": [], "records": []}, 400, "invalid_value", "records"),
        ({"records": [], "foo": 1}, 400, "invalid_value", "foo"),
        ({"records": [], "end": 1}, 400, "invalid_value", "end"),
        ({"records": [], "idempotency_key": "k" * 201}, 413, "too_large", "idempotency_key"),
        ({"model": "other", "records": []}, 404, "model_not_found", "model"),
        ({"lines": [""] * 50_001}, 413, "too_large", "lines"),
        ({"sequences": [{"events": ["a"] * 50_001}]}, 413, "too_large", "sequences"),
    ],
)
def test_a_malformed_batch_is_refused(
    watch: Server, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    error = refused(watch, status, **body)
    assert (error["code"], error["param"]) == (code, param)


def test_a_body_that_is_too_large_is_refused(watch: Server) -> None:
    assert refused(watch, 413, lines=["x" * (1 << 20)])["code"] == "too_large"


def test_a_named_batch_is_read_once(watch: Server) -> None:
    body = {"sequences": [{"key": "twice", "events": BAD}], "idempotency_key": "batch-1"}
    once, again = sent(watch, **body), sent(watch, **body)
    assert again == once | {"repeated": True}
    assert len(once["alarms"]) == 1
    error = refused(watch, 409, **body | {"sequences": []})
    assert (error["code"], error["param"]) == ("idempotency_conflict", "idempotency_key")


@pytest.mark.slow
def test_alarms_are_those_of_a_monitor_in_this_process(start: Start, audit: Path) -> None:
    server = start(audit)
    records = mixed(60)
    alarms = []
    for begin in range(0, len(records), 50):
        alarms += sent(server, records=records[begin : begin + 50])["alarms"]
    watcher = Monitor(Detector.load(audit))
    expected = watcher.feed(
        [Record(r["key"], r["event"], r["time"], r["event"], i, r["last"]) for i, r in enumerate(records, 1)]
    )
    named = lambda a: (a["key"], a["number"], a["event"], a["ended"])  # noqa: E731
    assert sorted(map(named, alarms)) == sorted(named(a.to_json()) for a in expected)
    assert len(alarms) > 5


@pytest.mark.slow
def test_a_server_that_is_killed_raises_each_alarm_once(start: Start, audit: Path, tmp_path: Path) -> None:
    """The server is killed between and during batches; the client sends unanswered batches again."""
    records = mixed(400, seed=4)
    batches = [
        {"records": records[i : i + 40], "idempotency_key": f"b{i}"} for i in range(0, len(records), 40)
    ]
    chance = random.Random(5)
    unbroken = start(audit, "--state", tmp_path / "unbroken.db")
    for batch in batches:
        sent(unbroken, **batch)
    expected = every_alarm(unbroken)
    server, kills = start(audit, "--state", tmp_path / "killed.db"), 0
    for i, batch in enumerate(batches):
        if i % 8 == 4:
            kills += 1
            if chance.random() < 0.5:
                sent(server, **batch)  # the answer is ignored
            else:
                with suppress(httpx.HTTPError):  # answered or not
                    server.client.post("/v1/watch", json=batch, timeout=chance.random() * 0.01)
            server.process.kill()
            server.process.wait()
            server = start(audit, "--state", tmp_path / "killed.db")
        sent(server, **batch)
    assert every_alarm(server) == expected
    assert kills >= 5 and len(expected) > 30


def every_alarm(server: Server) -> list[dict[str, Any]]:
    """Returns all alarms, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["alarm"] if found else 0
        page = server.client.get("/v1/watch/alarms", params={"after": after, "limit": 7}).json()["data"]
        if not page:
            return found
        found += page
