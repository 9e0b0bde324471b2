"""Metrics as Prometheus reads them."""

from onward.serve.http.metrics import BOUNDS, Counter, Gauge, Histogram, Metrics, Total


def test_a_counter_has_a_line_for_each_combination_of_labels() -> None:
    counter = Counter("n_total", "What.")
    counter.add(route="/a")
    counter.add(2, route="/a")
    counter.add(route="/b")
    assert [*counter.lines()][2:] == ['n_total{route="/a"} 3', 'n_total{route="/b"} 1']
    assert counter.value(route="/a") == 3


def test_a_total_is_a_counter_whose_every_step_shows() -> None:
    assert [*Total("n_total", "What.", lambda: 12_345_678).lines()][1:] == [
        "# TYPE n_total counter",
        "n_total 12345678",
    ]


def test_buckets_add_up() -> None:
    histogram = Histogram("s", "What.")
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        histogram.observe(seconds)
    lines = [*histogram.lines()][2:]
    counts = [float(line.rpartition(" ")[2]) for line in lines[: len(BOUNDS) + 1]]
    assert counts == sorted(counts)
    assert lines[0] == 's_bucket{le="0.001"} 2'
    assert (counts[-2], counts[-1], lines[-1]) == (3, 4, "s_count 4")


def test_the_page_has_every_metric() -> None:
    metrics = Metrics()
    metrics.gauges.append(Gauge("onward_sessions", "Kept.", lambda: 3))
    page = metrics.page()
    assert page.endswith("\n")
    for name in ("requests_total", "request_seconds", "symbols_written_total", "symbols_read_total"):
        assert f"# TYPE onward_{name} " in page
    assert "onward_sessions 3\n" in page
