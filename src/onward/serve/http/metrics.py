"""What the server counts, in Prometheus's text format."""

import bisect
import threading
from collections.abc import Callable, Iterator

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds that part the buckets of a latency."""

_Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number that grows, one for each combination of labels."""

    def __init__(self, name: str, explained: str) -> None:
        self.name, self.explained = name, explained
        self._values: dict[_Labels, float] = {}
        self._lock = threading.Lock()

    def add(self, amount: float = 1, **labels: str) -> None:
        """Adds to the number of these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount

    def value(self, **labels: str) -> float:
        """The number of these labels."""
        return self._values.get(tuple(labels.items()), 0)

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        yield from _heading(self.name, self.explained, "counter")
        for labels, value in list(self._values.items()) or [((), 0)]:
            yield f"{self.name}{_shown(labels)} {value:g}"


class Gauge:
    """A number that is asked for when it is read."""

    def __init__(self, name: str, explained: str, read: Callable[[], float]) -> None:
        self.name, self.explained, self._read = name, explained, read

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        yield from _heading(self.name, self.explained, "gauge")
        yield f"{self.name} {self._read():g}"


class Total:
    """A number that grows, which is asked for when it is read."""

    def __init__(self, name: str, explained: str, read: Callable[[], float]) -> None:
        self.name, self.explained, self._read = name, explained, read

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        yield from _heading(self.name, self.explained, "counter")
        yield f"{self.name} {self._read():.17g}"


class Histogram:
    """How many of what was measured lay below each bound, for each combination of labels."""

    def __init__(self, name: str, explained: str) -> None:
        self.name, self.explained = name, explained
        self._counts: dict[_Labels, list[int]] = {}
        self._sums: dict[_Labels, float] = {}

    def observe(self, seconds: float, **labels: str) -> None:
        """Counts one measurement."""
        key = tuple(labels.items())
        counts = self._counts.setdefault(key, [0] * (len(BOUNDS) + 1))
        counts[bisect.bisect_left(BOUNDS, seconds)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        yield from _heading(self.name, self.explained, "histogram")
        for labels, counts in self._counts.items():
            total = 0
            for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_shown((*labels, ('le', bound)))} {total}"
            yield f"{self.name}_sum{_shown(labels)} {self._sums[labels]:.6f}"
            yield f"{self.name}_count{_shown(labels)} {total}"


class Metrics:
    """All that is counted.

    Attributes:
        requests: by route and status.
        seconds: of requests, by route, to the end of the answer.
        symbols_written: by completions.
        symbols_read: of prompts and of what was typed and scored.
        sessions_ended: by reason: deleted, expired, evicted.
        gauges: what else is to be shown, totals among them.
    """

    def __init__(self) -> None:
        self.requests = Counter("onward_requests_total", "Requests that were answered.")
        self.seconds = Histogram("onward_request_seconds", "From a request to the end of its answer.")
        self.symbols_written = Counter("onward_symbols_written_total", "Symbols that completions wrote.")
        self.symbols_read = Counter("onward_symbols_read_total", "Symbols of prompts, edits and scores.")
        self.sessions_ended = Counter("onward_sessions_ended_total", "Sessions that ended, by reason.")
        self.gauges: list[Gauge | Total] = []

    def page(self) -> str:
        """Everything, as Prometheus reads it."""
        parts = [self.requests, self.seconds, self.symbols_written, self.symbols_read, self.sessions_ended]
        return "\n".join(line for part in [*parts, *self.gauges] for line in part.lines()) + "\n"


def _heading(name: str, explained: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {explained}"
    yield f"# TYPE {name} {kind}"


def _shown(labels: _Labels) -> str:
    """Labels in braces; their values are names of ours, and hold nothing to escape."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
