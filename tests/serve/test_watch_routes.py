"""Records in, alarms out, over HTTP."""

import json
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Server, normal

from onward.artefact import load, save
from onward.errors import InputError
from onward.serve.app import Settings, make_app
from onward.serve.watch_page import watch_assets
from onward.watch.detector import Detector
from onward.watch.learning import Learning, learn
from onward.watch.readers import Source
from onward.watch.stream import Watcher
from onward.watch.templates import Templates

GOOD = ["start", "read", "write", "sync", "stop"]
BAD = ["start", "boom", "read", "sync", "stop"]
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def watch(audit: Path) -> Iterator[Server]:
    server = Server(audit)
    yield server
    assert server.end() == ""


def sent(server: Server, **body: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/watch", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(server: Server, status: int, **body: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/watch", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def mixed(sessions: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records of interleaved sessions, one in five of which is strange."""
    chance = random.Random(seed)
    waiting = [(f"s{i}", list(BAD) if chance.random() < 0.2 else normal(chance)) for i in range(sessions)]
    begun: list[tuple[str, list[str]]] = []
    found: list[dict[str, Any]] = []
    while waiting or begun:
        if waiting and len(begun) < 8:
            begun.append(waiting.pop(0))
        key, events = begun[chance.randrange(len(begun))]
        found.append({"key": key, "event": events.pop(0), "time": 1e9 + len(found), "last": not events})
        if not events:
            begun.remove((key, events))
    return found


class TestBatches:
    def test_an_alarm_says_what_came_and_what_was_expected(self, watch: Server, audit: Path) -> None:
        sequences = [{"key": "fine", "events": GOOD}, {"key": "odd", "events": BAD}]
        answer = sent(watch, sequences=sequences, verdicts=True)
        (alarm,) = answer["alarms"]
        score = Detector.load(audit).score_events(BAD)[1]
        assert (alarm["key"], alarm["event"], alarm["new"]) == ("odd", "boom", True)
        assert alarm["bits"] == pytest.approx(score.bits, abs=0.001)
        assert [e["event"] for e in alarm["expected"]] == [e.event for e in score.expected]
        assert alarm["p_value"] <= 0.03
        judged = Detector.load(audit).judge([GOOD, BAD], ["fine", "odd"])
        told = {v["key"]: (v["p_value"], v["flagged"]) for v in answer["verdicts"]}
        assert told == {v.key: (pytest.approx(v.p_value), v.flagged) for v in judged}

    def test_the_state_of_a_key_is_carried_from_request_to_request(self, watch: Server) -> None:
        for event in ("start", "read", "read"):
            records = [{"key": key, "event": event} for key in ("here", "there")]
            assert sent(watch, records=records)["alarms"] == []
        answer = sent(watch, records=[{"key": "here", "event": "stop"}, {"key": "there", "event": "sync"}])
        assert [(a["key"], a["event"]) for a in answer["alarms"]] == [("here", "stop")]
        assert answer["in_flight"] == 2
        ended = sent(watch, end=True, verdicts=True)
        assert {v["key"] for v in ended["verdicts"]} == {"here", "there"}
        assert ended["in_flight"] == 0

    def test_lines_are_read_as_on_the_command_line(self, watch: Server) -> None:
        rows = [f"c,{event},{i}" for i, event in enumerate(BAD)]
        answer = sent(watch, lines=["key,event,time", *rows])
        (alarm,) = answer["alarms"]
        assert (alarm["line"], alarm["number"]) == (rows[1], answer["first"] + 2)
        assert alarm["time"] == "1970-01-01T00:00:01.000Z"

    def test_what_is_no_record_is_counted_and_told(self, watch: Server) -> None:
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
        assert first == {"number": answer["first"] + 1, "reason": "expected an event, got null"}
        assert watch.client.get("/v1/watch").json()["data"][0]["unparsable"] == before + 7

    def test_any_text_is_an_event(self, watch: Server) -> None:
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
            ({"lines": [""] * 50_001}, 413, "too_large", None),
            ({"sequences": [{"events": ["a"] * 50_001}]}, 413, "too_large", None),
        ],
    )
    def test_what_cannot_be_read_is_refused(
        self, watch: Server, body: dict[str, Any], status: int, code: str, param: str | None
    ) -> None:
        error = refused(watch, status, **body)
        assert (error["code"], error["param"]) == (code, param)

    def test_a_body_that_is_too_large_is_refused(self, watch: Server) -> None:
        assert refused(watch, 413, lines=["x" * (1 << 20)])["code"] == "too_large"

    def test_a_batch_that_is_named_is_read_once(self, watch: Server) -> None:
        body = {"sequences": [{"key": "twice", "events": BAD}], "idempotency_key": "batch-1"}
        once, again = sent(watch, **body), sent(watch, **body)
        assert again == once | {"repeated": True}
        assert len(once["alarms"]) == 1
        error = refused(watch, 409, **body | {"sequences": []})
        assert (error["code"], error["param"]) == ("idempotency_conflict", "idempotency_key")

    @pytest.mark.slow
    def test_results_are_those_of_a_watch_in_process(self, start: Start, audit: Path) -> None:
        server = start(audit)
        records = mixed(60)
        alarms = []
        for begin in range(0, len(records), 50):
            alarms += sent(server, records=records[begin : begin + 50])["alarms"]
        watcher = Watcher(Detector.load(audit))
        from onward.watch.records import Record  # noqa: PLC0415

        expected = watcher.feed(
            [
                Record(r["key"], r["event"], r["time"], r["event"], i, r["last"])
                for i, r in enumerate(records, 1)
            ]
        )
        named = lambda a: (a["key"], a["number"], a["event"], a["ended"])  # noqa: E731
        assert sorted(map(named, alarms)) == sorted(named(a.to_json()) for a in expected)
        assert len(alarms) > 5


class TestAlarms:
    def test_the_last_ones_and_those_behind_a_number(self, watch: Server) -> None:
        sent(watch, sequences=[{"key": f"n{i}", "events": BAD} for i in range(5)])
        found = watch.client.get("/v1/watch/alarms", params={"limit": 3}).json()
        assert [alarm["key"] for alarm in found["data"]] == ["n2", "n3", "n4"]
        last = found["last"]
        assert found["data"][-1]["alarm"] == last
        behind = watch.client.get("/v1/watch/alarms", params={"after": last - 4, "limit": 2}).json()["data"]
        assert [alarm["key"] for alarm in behind] == ["n1", "n2"]
        assert watch.client.get("/v1/watch/alarms", params={"after": last}).json()["data"] == []

    @pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=501", "stream=yes"])
    def test_a_query_that_is_wrong_is_refused(self, watch: Server, query: str) -> None:
        answer = watch.client.get(f"/v1/watch/alarms?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == query.partition("=")[0]

    def test_they_come_as_events_and_go_on_behind_the_last_that_was_heard(self, watch: Server) -> None:
        last = watch.client.get("/v1/watch/alarms").json()["last"]
        with listening(watch) as events:
            assert next(events)["event"] == "report"
            alarm = sent(watch, sequences=[{"key": "heard", "events": BAD}])["alarms"][0]
            event = next(e for e in events if "id" in e)
            assert (event["id"], event["data"]) == (str(last + 1), alarm)
            assert next(e for e in events if e.get("event"))["data"]["last_alarm"] == last + 1
        with listening(watch, headers={"Last-Event-ID": str(last)}) as events:
            assert next(events)["data"]["key"] == "heard"

    def test_one_is_explained_event_by_event(self, watch: Server, audit: Path) -> None:
        alarm = sent(watch, sequences=[{"key": "why", "events": BAD}])["alarms"][0]
        found = watch.client.get(f"/v1/watch/alarms/{alarm['alarm']}").json()
        assert found["alarm"] == alarm
        assert found["ended"] and found["of"] == 6
        assert [event["event"] for event in found["events"]] == [*BAD, "<end>"]
        expected = Detector.load(audit).score_events(BAD)
        assert [event["bits"] for event in found["events"]] == pytest.approx([e.bits for e in expected])

    def test_the_end_of_one_in_flight_is_not_made_up(self, watch: Server) -> None:
        records = [{"key": "flying", "event": event} for event in ("start", "boom")]
        number = sent(watch, records=records)["alarms"][0]["alarm"]
        found = watch.client.get(f"/v1/watch/alarms/{number}").json()
        assert not found["ended"]
        assert [event["event"] for event in found["events"]] == ["start", "boom"]

    @pytest.mark.parametrize("number", ["0", "99999", "-1", "one", "9" * 30])
    def test_one_that_is_not_there_is_not_found(self, watch: Server, number: str) -> None:
        for method, path in (("GET", ""), ("POST", "/ok")):
            answer = watch.client.request(method, f"/v1/watch/alarms/{number}{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "alarm_not_found")


class listening:  # noqa: N801 - used as a context
    """The events of the alarms of a server, as they come."""

    def __init__(self, server: Server, **options: Any) -> None:
        self._stream = server.client.stream("GET", "/v1/watch/alarms?stream=true", **options)

    def __enter__(self) -> Iterator[dict[str, Any]]:
        answer = self._stream.__enter__()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return self._events(answer)

    def __exit__(self, *error: Any) -> None:
        self._stream.__exit__(*error)

    def _events(self, answer: httpx.Response) -> Iterator[dict[str, Any]]:
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = json.loads(value) if name == "data" else value
            elif not line and event:
                yield event
                event = {}


class TestReport:
    @pytest.mark.slow
    def test_the_rate_asked_and_the_share_flagged(self, start: Start, audit: Path) -> None:
        server = start(audit, "--false-alarms", "5%")
        sent(server, sequences=[{"events": GOOD}] * 3 + [{"events": BAD}])
        (found,) = server.client.get("/v1/watch").json()["data"]
        assert (found["id"], found["form"], found["false_alarms_asked"]) == ("audit", "csv", 0.05)
        assert (found["sequences"], found["share_flagged"], found["drift"]) == (4, 0.25, None)
        low, high = found["share_flagged_interval"]
        assert low < 0.25 < high
        assert "onward_watch_sequences 4\n" in server.client.get("/metrics").text

    @pytest.mark.slow
    def test_drift_is_said(self, start: Start, audit: Path) -> None:
        server = start(audit)
        for _ in range(8):
            sent(server, sequences=[{"events": BAD}] * 50)
        (found,) = server.client.get("/v1/watch").json()["data"]
        assert "p-values" in found["drift"]
        assert found["drift"] in server.end()


class TestTime:
    @pytest.mark.slow
    def test_a_sequence_that_falls_silent_ends(self, start: Start, audit: Path) -> None:
        server = start(audit, "--idle", "1s")
        sent(server, records=[{"key": "cut", "event": event} for event in ("start", "read")])
        with listening(server) as events:
            event = next(e for e in events if "id" in e)
        assert (event["data"]["key"], event["data"]["ended"]) == ("cut", True)
        assert server.client.get("/v1/watch").json()["data"][0]["in_flight"] == 0


class TestForgiving:
    @pytest.mark.slow
    def test_what_was_normal_is_learned_and_the_file_replaced(
        self, start: Start, own: Path, tmp_path: Path
    ) -> None:
        server = start(own, "--state", tmp_path / "watch.db")
        events = ["start", "read", "stop"]
        sent(server, records=[{"key": "flying", "event": "start"}])
        number = sent(server, sequences=[{"key": "normal", "events": events}])["alarms"][0]["alarm"]
        found = server.client.post(f"/v1/watch/alarms/{number}/ok", timeout=60).json()
        assert found["flagged"] == {"before": True, "after": False}
        assert sent(server, sequences=[{"events": events}])["alarms"] == []
        (report,) = server.client.get("/v1/watch").json()["data"]
        assert (report["ok"], report["in_flight"]) == ([number], 1)
        assert not Detector.load(own).judge([events])[0].flagged
        server.end()
        again = start(own, "--state", tmp_path / "watch.db")
        assert again.client.get("/v1/watch").json()["data"][0]["ok"] == [number]

    def test_events_without_a_symbol_cannot_be_learned(self, watch: Server) -> None:
        number = sent(watch, sequences=[{"events": BAD}])["alarms"][0]["alarm"]
        answer = watch.client.post(f"/v1/watch/alarms/{number}/ok")
        assert answer.status_code == 400
        assert "'boom'" in answer.json()["error"]["message"]

    @pytest.mark.slow
    def test_a_detector_that_was_replaced_meanwhile_stays(self, start: Start, own: Path) -> None:
        server = start(own)
        number = sent(server, sequences=[{"events": ["start", "read", "stop"]}])["alarms"][0]["alarm"]
        artefact = load(own)
        with_other = next(artefact.model.parameters())
        with_other.data += 1
        save(artefact, own)
        before = own.read_bytes()
        answer = server.client.post(f"/v1/watch/alarms/{number}/ok")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "model_changed")
        assert own.read_bytes() == before


class TestKinds:
    @pytest.mark.slow
    def test_raw_lines_of_a_log(self, start: Start, tmp_path: Path) -> None:
        lines = [f"{step} blk_{i} took {7 * i} ms" for i in range(40) for step in ("open", "read", "close")]
        source = Source(form="log", key_regex=r"blk_\d+")
        templates = Templates.of(lines)
        reading = {"reader": source.to_json(), "templates": templates.to_json()}
        events = [[templates.event(line) for line in lines[i : i + 3]] for i in range(0, 120, 3)]
        path = tmp_path / "log.onward"
        learn(events, Learning(held_out=0.5, steps=40, rate=0.1), source=reading).save(path)
        server = start(path)
        odd = ["open blk_900 took 3 ms", "panic in blk_900", "no block here"]
        answer = sent(server, lines=odd)
        assert [(a["key"], a["line"]) for a in answer["alarms"]] == [("blk_900", odd[1])]
        assert answer["unreadable"]["examples"][0]["number"] == 3
        assert refused(server, 400, records=[])["param"] == "records"

    @pytest.mark.slow
    def test_models_and_detectors_are_served_together(
        self, start: Start, audit: Path, model: Path, tmp_path: Path
    ) -> None:
        server = start(model, audit, "--state", tmp_path / "both.db")
        assert [m["id"] for m in server.client.get("/v1/models").json()["data"]] == ["small"]
        assert server.client.post("/v1/score", json={"text": "the"}).status_code == 200
        assert len(sent(server, model="audit", sequences=[{"events": BAD}])["alarms"]) == 1
        assert server.client.get("/").status_code == 200
        assert server.client.get("/watch").status_code == 200
        assert (tmp_path / "both.db").exists() and (tmp_path / "both.audit.db").exists()

    def test_a_detector_alone_has_one_page_and_no_model_that_writes(self, watch: Server) -> None:
        answer = watch.client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/watch")
        assert watch.client.get("/v1/models").json()["data"] == []
        answer = watch.client.post("/v1/completions", json={"prompt": "a"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")

    def test_a_server_without_a_detector_watches_nothing(self, server: Server) -> None:
        assert server.client.get("/v1/watch").json()["data"] == []
        assert refused(server, 404, lines=["a"])["code"] == "model_not_found"
        assert server.client.get("/watch").status_code == 404

    def test_two_of_one_name_are_refused(self, audit: Path, tmp_path: Path) -> None:
        (tmp_path / "audit.onward").write_bytes(audit.read_bytes())
        with pytest.raises(InputError, match="different names"):
            make_app(Settings(models=[audit, tmp_path / "audit.onward"]))


class TestWhoMayUseIt:
    def test_other_sites_and_names_are_refused(self, watch: Server) -> None:
        for headers, code in (
            ({"Origin": "http://evil.example"}, "wrong_origin"),
            ({"Host": "evil"}, "wrong_host"),
        ):
            for method, path in (("POST", "/v1/watch"), ("POST", "/v1/watch/alarms/1/ok"), ("GET", "/watch")):
                answer = watch.client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)

    @pytest.mark.slow
    def test_a_token_is_asked_for_but_for_the_page(self, start: Start, audit: Path) -> None:
        client = start(audit, environment={"ONWARD_TOKEN": "secret"}).client
        for method, path in (
            ("POST", "/v1/watch"),
            ("GET", "/v1/watch/alarms?stream=true"),
            ("GET", "/v1/watch"),
        ):
            assert client.request(method, path).status_code == 401
        for path in watch_assets():
            assert client.get(path).status_code == 200
        assert client.get("/v1/watch", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_the_document_has_every_endpoint(watch: Server) -> None:
    paths = watch.client.get("/openapi.json").json()["paths"]
    found = {
        (path, method)
        for path in paths
        for method in paths[path]
        if "watch" in path and method != "parameters"
    }
    assert found == {
        ("/v1/watch", "get"),
        ("/v1/watch", "post"),
        ("/v1/watch/alarms", "get"),
        ("/v1/watch/alarms/{number}", "get"),
        ("/v1/watch/alarms/{number}/ok", "post"),
    }


@pytest.mark.slow
def test_a_server_that_stops_ends_those_who_listen(start: Start, audit: Path) -> None:
    server = start(audit)
    with listening(server) as events:
        next(events)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(8) in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_a_server_that_is_killed_raises_each_alarm_once(start: Start, audit: Path, tmp_path: Path) -> None:
    """Killed at any moment while batches come; who sends them sends again what was not answered."""
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
                sent(server, **batch)  # its answer is lost
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
    """All alarms, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["alarm"] if found else 0
        page = server.client.get("/v1/watch/alarms", params={"after": after, "limit": 7}).json()["data"]
        if not page:
            return found
        found += page
