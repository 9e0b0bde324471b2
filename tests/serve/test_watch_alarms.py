"""Alarms over HTTP: listed, streamed, explained, and marked as normal."""

import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.serve.conftest import Server, Start
from tests.serve.watched import BAD, listening, sent

from onward.artefact import load, save
from onward.watch.detector import Detector


class TestAlarms:
    def test_alarms_are_listed_from_the_end_or_after_a_number(self, watch: Server) -> None:
        sent(watch, sequences=[{"key": f"n{i}", "events": BAD} for i in range(5)])
        found = watch.client.get("/v1/watch/alarms", params={"limit": 3}).json()
        assert [alarm["key"] for alarm in found["data"]] == ["n2", "n3", "n4"]
        last = found["last"]
        assert found["data"][-1]["alarm"] == last
        behind = watch.client.get("/v1/watch/alarms", params={"after": last - 4, "limit": 2}).json()["data"]
        assert [alarm["key"] for alarm in behind] == ["n1", "n2"]
        assert watch.client.get("/v1/watch/alarms", params={"after": last}).json()["data"] == []

    @pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=501", "stream=yes"])
    def test_a_wrong_query_is_refused(self, watch: Server, query: str) -> None:
        answer = watch.client.get(f"/v1/watch/alarms?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == query.partition("=")[0]

    def test_alarms_are_streamed_and_a_stream_resumes_after_the_last_event(self, watch: Server) -> None:
        last = watch.client.get("/v1/watch/alarms").json()["last"]
        with listening(watch) as events:
            assert next(events)["event"] == "report"
            alarm = sent(watch, sequences=[{"key": "heard", "events": BAD}])["alarms"][0]
            event = next(e for e in events if "id" in e)
            assert (event["id"], event["data"]) == (str(last + 1), alarm)
            assert next(e for e in events if e.get("event"))["data"]["last_alarm"] == last + 1
        with listening(watch, headers={"Last-Event-ID": str(last)}) as events:
            assert next(events)["data"]["key"] == "heard"

    def test_an_alarm_is_explained_event_by_event(self, watch: Server, audit: Path) -> None:
        alarm = sent(watch, sequences=[{"key": "why", "events": BAD}])["alarms"][0]
        found = watch.client.get(f"/v1/watch/alarms/{alarm['alarm']}").json()
        assert found["alarm"] == alarm
        assert found["ended"] and found["of"] == 6
        assert [event["event"] for event in found["events"]] == [*BAD, "<end>"]
        expected = Detector.load(audit).score_events(BAD)
        assert [event["bits"] for event in found["events"]] == pytest.approx([e.bits for e in expected])

    def test_an_open_sequence_is_explained_without_an_end(self, watch: Server) -> None:
        records = [{"key": "flying", "event": event} for event in ("start", "boom")]
        number = sent(watch, records=records)["alarms"][0]["alarm"]
        found = watch.client.get(f"/v1/watch/alarms/{number}").json()
        assert not found["ended"]
        assert [event["event"] for event in found["events"]] == ["start", "boom"]

    @pytest.mark.parametrize("number", ["0", "99999", "-1", "one", "9" * 30])
    def test_an_unknown_alarm_is_not_found(self, watch: Server, number: str) -> None:
        for method, path in (("GET", ""), ("POST", "/ok")):
            answer = watch.client.request(method, f"/v1/watch/alarms/{number}{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "alarm_not_found")
            assert "/v1/watch/alarms" in answer.json()["error"]["hint"]


class TestIncidents:
    def test_alarms_of_one_cause_are_one_incident(self, watch: Server) -> None:
        before = watch.client.get("/v1/watch/incidents").json()["last"]
        events = ["start", "burst", "stop"]
        alarms = sent(watch, sequences=[{"key": f"i{i % 5}", "events": events} for i in range(20)])["alarms"]
        assert [alarm["repeats"] for alarm in alarms] == [*range(20)]
        found = watch.client.get("/v1/watch/incidents", params={"after": before}).json()
        assert (found["last"], found["last_alarm"]) == (before + 1, alarms[-1]["alarm"])
        (incident,) = found["data"]
        assert incident["opening"] == alarms[0]
        assert incident["cause"] == alarms[-1]["cause"] == "first seen: burst"
        assert (incident["alarms"], incident["keys"], incident["names"]) == (20, 5, ["i0", "i1", "i2"])
        assert incident["incident"] == alarms[-1]["incident"] == before + 1
        assert watch.client.get("/v1/watch").json()["data"][0]["incidents"] == before + 1
        newest = watch.client.get("/v1/watch/incidents", params={"limit": 1}).json()["data"]
        assert [each["incident"] for each in newest] == [before + 1]

    @pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=501"])
    def test_a_wrong_query_is_refused(self, watch: Server, query: str) -> None:
        answer = watch.client.get(f"/v1/watch/incidents?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == query.partition("=")[0]


class TestMarkingAsNormal:
    @pytest.mark.slow
    def test_the_sequence_is_learned_and_the_detector_file_replaced(
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

    @pytest.mark.slow
    def test_an_event_that_was_never_seen_can_be_learned(self, start: Start, own: Path) -> None:
        server = start(own)
        number = sent(server, sequences=[{"events": BAD}])["alarms"][0]["alarm"]
        answer = server.client.post(f"/v1/watch/alarms/{number}/ok").raise_for_status().json()
        assert answer["flagged"] == {"before": True, "after": False}
        assert sent(server, sequences=[{"events": BAD}])["alarms"] == []

    @pytest.mark.slow
    def test_a_detector_file_that_was_replaced_is_not_overwritten(self, start: Start, own: Path) -> None:
        server = start(own)
        number = sent(server, sequences=[{"events": ["start", "read", "stop"]}])["alarms"][0]["alarm"]
        artefact = load(own)
        parameters = next(artefact.model.parameters())
        parameters.data += 1
        save(artefact, own)
        before = own.read_bytes()
        answer = server.client.post(f"/v1/watch/alarms/{number}/ok")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "model_changed")
        assert own.read_bytes() == before


class TestTime:
    @pytest.mark.slow
    def test_an_idle_sequence_ends(self, start: Start, audit: Path) -> None:
        server = start(audit, "--idle", "1s")
        sent(server, records=[{"key": "cut", "event": event} for event in ("start", "read")])
        with listening(server) as events:
            event = next(e for e in events if "id" in e)
        assert (event["data"]["key"], event["data"]["ended"]) == ("cut", True)
        assert server.client.get("/v1/watch").json()["data"][0]["in_flight"] == 0


@pytest.mark.slow
def test_a_stream_of_alarms_ends_cleanly_when_the_server_stops(start: Start, audit: Path) -> None:
    server = start(audit)
    with httpx.Client(base_url=server.url, timeout=20) as client:
        path = "/v1/watch/alarms?stream=true"
        with client.stream("GET", path) as idle, client.stream("GET", path) as busy:
            lines = [answer.iter_lines() for answer in (idle, busy)]
            assert [next(each) for each in lines] == ["event: report"] * 2
            server.process.send_signal(signal.SIGTERM)
            for each in lines:
                assert [*each]  # an unclean end is a RemoteProtocolError
    assert server.process.wait(20) in (0, -signal.SIGTERM)
    assert server.process.stderr
    assert server.process.stderr.read() == ""


def opened_stream(server: Server, *headers: str) -> tuple[str, socket.socket]:
    """Requests a stream of alarms, and returns the status and the connection."""
    host, _, port = server.url[7:].partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    lines = ["GET /v1/watch/alarms?stream=true HTTP/1.1", "Host: localhost", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection.recv(1 << 12)[9:12].decode(), connection


@pytest.mark.slow
def test_silent_clients_leave_places_for_the_page(start: Start, audit: Path) -> None:
    server = start(audit)
    with ExitStack() as held:
        statuses: list[str] = []
        for _ in range(120):
            status, connection = opened_stream(server)
            held.enter_context(connection)
            statuses.append(status)
        assert statuses == ["200"] * 100 + ["429"] * 20
        for headers, expected in (
            (("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), "403"),
            (("Sec-Fetch-Site: same-origin",), "200"),
        ):
            status, connection = opened_stream(server, *headers)
            held.enter_context(connection)
            assert status == expected
