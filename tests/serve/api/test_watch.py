"""Detectors over HTTP: their reports, input formats and targets, and who may use them."""

import signal
from pathlib import Path

import pytest
from tests.serve.conftest import Server, Start
from tests.serve.watched import BAD, GOOD, refused, sent
from tests.watch.notify.receivers import HANG, http_receiver, wait_until

from onward.errors import InputError
from onward.serve.app import ServerSettings, make_app
from onward.watch.input.format import InputFormat
from onward.watch.input.log_templates import Templates
from onward.watch.training import LearnSettings, learn_detector


class TestReport:
    @pytest.mark.slow
    def test_the_report_has_the_rate_and_the_share_of_flagged_sequences(
        self, start: Start, audit: Path
    ) -> None:
        server = start(audit, "--false-alarms", "5%")
        sent(server, sequences=[{"events": GOOD}] * 3 + [{"events": BAD}])
        (found,) = server.client.get("/v1/watch").json()["data"]
        assert (found["id"], found["form"], found["false_alarms_asked"]) == ("audit", "csv", 0.05)
        assert (found["sequences"], found["share_flagged"], found["drift"]) == (4, 0.25, None)
        low, high = found["share_flagged_interval"]
        assert low < 0.25 < high
        counted = server.client.get("/metrics").text
        assert "# TYPE onward_watch_sequences_total counter\nonward_watch_sequences_total 4.0\n" in counted
        assert "# TYPE onward_watch_in_flight gauge\nonward_watch_in_flight 0.0\n" in counted

    @pytest.mark.slow
    def test_the_budget_limits_incidents(self, start: Start, audit: Path) -> None:
        server = start(audit, "--alarms", "1/week", "--idle", "10s")
        assert "needs records with times" in refused(server, 400, sequences=[{"events": GOOD}])["message"]
        records = [
            {"key": f"s{i}", "event": event, "time": 1e9 + 5 * i, "last": j == 4}
            for i in range(400)
            for j, event in enumerate([GOOD[i % 5], GOOD[i // 5 % 5], GOOD[i // 25 % 5], "read", "write"])
        ]
        assert sent(server, records=records)["alarms"]
        (found,) = server.client.get("/v1/watch").json()["data"]
        assert found["budget"] == "1/week"
        assert 0 < found["incidents"] < found["suppressed"] < 400
        counted = server.client.get("/metrics").text
        assert f"\nonward_watch_suppressed_total {found['suppressed']:.1f}\n" in counted
        assert "rate control" in server.end()

    @pytest.mark.slow
    def test_the_activity_is_kept_over_a_restart(self, start: Start, audit: Path, tmp_path: Path) -> None:
        server = start(audit, "--state", tmp_path / "watch.db")
        sent(server, sequences=[{"events": GOOD}, {"events": BAD}])
        found = server.client.get("/v1/watch/activity").json()
        assert [event["event"] for event in found["events"] if not event["known"]] == ["boom"]
        assert sum(slot["alarms"] for slot in found["timeline"]) == 1
        assert sum(slot["sequences"] for slot in found["timeline"]) == 2
        server.end()
        assert start(audit, "--state", tmp_path / "watch.db").client.get("/v1/watch/activity").json() == found

    @pytest.mark.slow
    def test_drift_is_reported(self, start: Start, audit: Path) -> None:
        server = start(audit)
        for _ in range(8):
            sent(server, sequences=[{"events": BAD}] * 50)
        (found,) = server.client.get("/v1/watch").json()["data"]
        assert "have a p-value of at most" in found["drift"]
        assert found["drift"] in server.end()


class TestInputs:
    @pytest.mark.slow
    def test_raw_log_lines(self, start: Start, tmp_path: Path) -> None:
        lines = [f"{step} blk_{i} took {7 * i} ms" for i in range(40) for step in ("open", "read", "close")]
        source = InputFormat(form="log", key_regex=r"blk_\d+")
        templates = Templates.mine(lines)
        reading = {"reader": source.to_json(), "templates": templates.to_json()}
        events = [[templates.event(line) for line in lines[i : i + 3]] for i in range(0, 120, 3)]
        path = tmp_path / "log.onward"
        learn_detector(events, LearnSettings(held_out=0.5, steps=40, rate=0.1), source=reading).save(path)
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

    def test_a_server_with_only_a_detector_has_one_page_and_no_models(self, watch: Server) -> None:
        answer = watch.client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/watch")
        assert watch.client.get("/v1/models").json()["data"] == []
        answer = watch.client.post("/v1/completions", json={"prompt": "a"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")

    def test_a_server_without_a_detector_has_no_page_of_alarms(self, server: Server) -> None:
        assert server.client.get("/v1/watch").json()["data"] == []
        assert refused(server, 404, lines=["a"])["code"] == "model_not_found"
        assert server.client.get("/watch").status_code == 404

    def test_two_detectors_with_the_same_name_are_refused(self, audit: Path, tmp_path: Path) -> None:
        (tmp_path / "audit.onward").write_bytes(audit.read_bytes())
        with pytest.raises(InputError, match="different names"):
            make_app(ServerSettings(models=[audit, tmp_path / "audit.onward"]))


class TestAccess:
    def test_other_origins_and_hosts_are_refused(self, watch: Server) -> None:
        for headers, code in (
            ({"Origin": "http://evil.example"}, "wrong_origin"),
            ({"Host": "evil"}, "wrong_host"),
        ):
            for method, path in (("POST", "/v1/watch"), ("POST", "/v1/watch/alarms/1/ok"), ("GET", "/watch")):
                answer = watch.client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)

    @pytest.mark.slow
    def test_everything_but_the_page_needs_the_token(self, start: Start, audit: Path) -> None:
        client = start(audit, environment={"ONWARD_TOKEN": "secret"}).client
        for method, path in (
            ("POST", "/v1/watch"),
            ("GET", "/v1/watch/alarms?stream=true"),
            ("GET", "/v1/watch"),
        ):
            assert client.request(method, path).status_code == 401
        for path in ("/watch", "/page/watch/watch.js"):
            assert client.get(path).status_code == 200
        assert client.get("/v1/watch", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_the_document_has_every_operation(watch: Server) -> None:
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
        ("/v1/watch/incidents", "get"),
        ("/v1/watch/activity", "get"),
    }


class TestTargets:
    @pytest.mark.slow
    def test_incidents_reach_a_webhook_also_after_a_kill_and_are_counted(
        self, start: Start, audit: Path, tmp_path: Path
    ) -> None:
        with http_receiver(200, HANG) as receiver:
            command = (audit, "--state", tmp_path / "watch.db", "--webhook", receiver.url)
            server = start(*command)
            events = [[*BAD[:1], f"boom{i}", *BAD[2:]] for i in range(3)]
            sent(server, sequences=[{"key": f"s{i}", "events": one} for i, one in enumerate(events)])
            wait_until(lambda: len(receiver.requests) == 2)
            counted = server.client.get("/metrics").text
            assert "onward_watch_deliveries_total 1.0\n" in counted
            assert "onward_watch_notices_waiting 2.0\n" in counted
            server.end(signal.SIGKILL)
            server = start(*command)
            wait_until(lambda: "onward_watch_notices_waiting 0.0\n" in server.client.get("/metrics").text)
            assert "onward_watch_delivery_failures_total 0.0\n" in server.client.get("/metrics").text
        assert [body["cause"] for body in receiver.bodies if body["type"] == "alarm"][-2:] == [
            "first seen: boom1",
            "first seen: boom2",
        ]
        assert len(set(receiver.names)) == 3
