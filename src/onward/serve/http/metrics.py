"""Metrics for Prometheus. Each application has its own registry."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the buckets of a latency."""

SESSION_ENDINGS = ("deleted", "expired", "evicted")


class Metrics:
    """The metrics of one application.

    Attributes:
        requests: number of requests by method, route and status. A message of a WebSocket counts as a request
            of method WS.
        seconds: time from a request to the end of its response, by route.
        symbols_written: number of symbols of completions.
        symbols_read: number of symbols of prompts, edits and scored texts.
        sessions_ended: number of ended sessions by reason.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("onward_requests", "Requests answered.", labels, registry=registry)
        self.seconds = Histogram(
            "onward_request_seconds",
            "Time from a request to the end of its response.",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.symbols_written = Counter(
            "onward_symbols_written", "Symbols written by completions.", registry=registry
        )
        self.symbols_read = Counter(
            "onward_symbols_read", "Symbols read from prompts, edits and scored texts.", registry=registry
        )
        self.sessions_ended = Counter(
            "onward_sessions_ended", "Sessions that ended, by reason.", ["reason"], registry=registry
        )
        for reason in SESSION_ENDINGS:
            self.sessions_ended.labels(reason=reason)
        ProcessCollector(registry=registry)

    def add_gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Adds a number that is read whenever the metrics are exported."""
        Gauge(name, description, registry=self._registry).set_function(read)

    def add_total(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Adds a counter that is read whenever the metrics are exported."""
        self._registry.register(_Total(name, description, read))

    def export(self, accept: str = "") -> tuple[bytes, str]:
        """Returns all metrics and their media type: OpenMetrics if the Accept header asks for it."""
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # the header has an invalid version
            encode, media_type = choose_encoder("")
        return encode(self._registry), media_type


class _Total(Collector):
    def __init__(self, name: str, description: str, read: Callable[[], float]) -> None:
        self._name, self._description, self._read = name, description, read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._description, self._read())
