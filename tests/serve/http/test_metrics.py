"""Metrics, as a Prometheus server reads them."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.serve.conftest import Server
from websockets.sync.client import connect

from onward.serve.http.metrics import Metrics

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples(metrics: Metrics, accept: str = "") -> dict[Sample, float]:
    page, media_type = metrics.export(accept)
    parse = parse_openmetrics if "openmetrics" in media_type else parse_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(page.decode())
        for sample in family.samples
    }


def test_a_large_count_keeps_every_digit() -> None:
    metrics = Metrics()
    metrics.symbols_written.inc(123_456_788)
    metrics.symbols_written.inc()
    metrics.add_total("onward_watch_records", "Events.", lambda: 987_654_321)
    for accept in ("", "application/openmetrics-text"):
        found = samples(metrics, accept)
        assert found["onward_symbols_written_total", ()] == 123_456_789
        assert found["onward_watch_records_total", ()] == 987_654_321


def test_gauges_are_read_when_metrics_are_exported() -> None:
    metrics, sessions = Metrics(), [1, 2]
    metrics.add_gauge("onward_sessions", "Open sessions.", lambda: len(sessions))
    assert samples(metrics)["onward_sessions", ()] == 2
    sessions.append(3)
    assert samples(metrics)["onward_sessions", ()] == 3


def test_each_application_counts_for_itself() -> None:
    one, other = Metrics(), Metrics()
    one.symbols_read.inc()
    assert samples(other)["onward_symbols_read_total", ()] == 0


def test_the_accept_header_chooses_openmetrics(server: Server) -> None:
    plain = server.client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = server.client.get("/metrics", headers=asked)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["x", "1.0.0=3", "1.0.x"])
def test_an_invalid_version_gets_plain_text(version: str) -> None:
    _, media_type = Metrics().export(f"application/openmetrics-text; version={version}")
    assert media_type.startswith("text/plain; version=0.0.4")


def test_the_server_exports_every_metric(server: Server) -> None:
    page = server.client.get("/metrics").text
    names = {family.name for family in parse_text(page)}
    assert {
        "onward_requests",
        "onward_request_seconds",
        "onward_symbols_written",
        "onward_symbols_read",
        "onward_sessions",
        "onward_sessions_adapting",
        "onward_sessions_ended",
        "onward_session_megabytes",
        "onward_waiting",
        "process_resident_memory_bytes",
        "process_cpu_seconds",
    } <= names
    assert "_created" not in page


def test_keystrokes_over_a_websocket_are_counted(server: Server) -> None:
    def counted(status: str) -> float:
        name = "onward_requests_total"
        labels = {"method": "WS", "route": "/v1/sessions/{id}/ws", "status": status}
        families = parse_text(server.client.get("/metrics").text)
        found = [s.value for f in families for s in f.samples if (s.name, s.labels) == (name, labels)]
        return sum(found)

    before = counted("200"), counted("400")
    session = server.client.post("/v1/sessions", json={"text": "the "}).json()["id"]
    with connect(f"{server.url.replace('http', 'ws')}/v1/sessions/{session}/ws") as socket:
        for message in ('{"insert": "s"}', '{"insert": "t"}', "{"):
            socket.send(message)
            socket.recv()
    assert (counted("200"), counted("400")) == (before[0] + 2, before[1] + 1)
