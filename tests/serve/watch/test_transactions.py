"""A watch whose every step is durable, on a disk that may be full, while time passes."""

import resource
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from onward.serve.http.errors import ApiError
from onward.serve.watch import transactions as durable_watch
from onward.serve.watch.batches import Batch
from onward.serve.watch.transactions import WatchTransactions
from onward.watch.detector import Detector
from onward.watch.stream.store import WatchStore

BAD = ["start", "boom", "read", "sync", "stop"]
ODD = Batch("sequences", [{"key": "odd", "events": BAD}], False, False, "name", "digest")
Made = Callable[..., WatchTransactions]


class Passing:
    """A clock that stands still, and the work of a watch, each step of which takes some seconds."""

    def __init__(self) -> None:
        self.now, self.work = 100.0, 0.0

    def __call__(self) -> float:
        return self.now

    def committed(self, _: list[dict[str, Any]]) -> None:
        self.now += self.work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Passing:
    """What watches see of the time."""
    clock = Passing()
    monkeypatch.setattr(durable_watch, "monotonic", clock)
    return clock


@pytest.fixture
def made(audit: Path, tmp_path: Path) -> Iterator[Made]:
    """Watches of ten seconds' idleness, by what they call when they have committed."""
    running: list[WatchTransactions] = []

    def make(committed: Callable[[list[dict[str, Any]]], None]) -> WatchTransactions:
        file = tmp_path / f"watch-{len(running)}.db"
        fixed: dict[str, Any] = {"idle": 10.0, "rate": None, "tell": print}
        running.append(WatchTransactions(audit, file, committed=committed, **fixed))
        return running[-1]

    yield make
    for watch in running:
        watch.close()


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read(watch: WatchTransactions, key: str, time: float | None) -> int:
    """One record of a key; sequences in flight after it."""
    record = {"key": key, "event": "start"} | ({} if time is None else {"time": time})
    return watch.feed(Batch("records", [record], False, False, None, ""))["in_flight"]


def waited(watch: WatchTransactions) -> int:
    """Sequences in flight after the time that has passed was noted."""
    watch.wait()
    return watch.report["in_flight"]


def test_a_full_disk_is_said_and_nothing_of_the_batch_is_read(made: Made) -> None:
    told: list[dict[str, Any]] = []
    watch = made(told.extend)
    number = watch.feed(Batch("sequences", [{"key": "first", "events": BAD}], False, False, None, ""))[
        "first"
    ]
    with full_disk(), pytest.raises(ApiError) as caught:
        watch.feed(ODD)
    assert (caught.value.status, caught.value.code) == (503, "cannot_write")
    assert caught.value.headers == {"Retry-After": "5"}
    assert [alarm["key"] for alarm in told] == ["first"]
    assert watch.report["sequences"] == 1
    assert [alarm["key"] for alarm in watch.alarms(None, 10)] == ["first"]
    assert watch.explain(1)["alarm"]["key"] == "first"
    answer = watch.feed(ODD)
    assert (answer["first"], answer["repeated"]) == (number + 1, False)
    assert [alarm["key"] for alarm in told] == ["first", "odd"]


def test_a_new_watch_whose_first_batch_fails_reads_the_second(made: Made) -> None:
    watch = made(lambda _: None)
    with full_disk(), pytest.raises(ApiError, match="cannot write"):
        watch.feed(ODD)
    assert watch.feed(ODD)["alarms"][0]["key"] == "odd"


def test_what_fails_leaves_the_file_open(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is opened again may have no room for it."""
    watch = made(lambda _: None)
    watch.feed(ODD)

    def fails(_: WatchStore) -> None:
        raise AssertionError("it was opened again")

    with monkeypatch.context() as patch, full_disk(), pytest.raises(ApiError, match="cannot write"):
        patch.setattr(WatchStore, "_prepare", fails)
        read(watch, "a", None)
    assert watch.report["last_alarm"] == 1


def test_time_at_work_is_no_silence(made: Made, clock: Passing) -> None:
    watch = made(clock.committed)
    clock.work = 30.0
    assert read(watch, "a", 1e9) == 1
    assert waited(watch) == 1
    clock.now += 8
    assert waited(watch) == 1
    clock.now += 8
    assert waited(watch) == 0


def test_without_times_that_at_work_passes_before_the_next_records(made: Made, clock: Passing) -> None:
    watch = made(clock.committed)
    clock.work = 30.0
    assert read(watch, "a", None) == 1
    assert waited(watch) == 1
    assert read(watch, "b", None) == 1  # "a" has fallen silent for 30 seconds, "b" is there
    assert waited(watch) == 1
    clock.work = 3.0
    for _ in range(5):  # one batch after the other, and no moment without one
        read(watch, "c", None)
    assert watch.report["in_flight"] == 1


def test_a_backlog_with_times_ends_nothing_that_is_alive(made: Made, clock: Passing) -> None:
    watch = made(clock.committed)
    clock.work = 3.0
    for second in range(5):
        assert read(watch, "a", 1e9 + second) == 1
    assert waited(watch) == 1


def test_an_alarm_that_is_said_to_be_normal_twice_is_learned_once(own: Path, tmp_path: Path) -> None:
    """As where a button is pressed twice, or an answer came too late."""
    with closing(
        WatchTransactions(own, tmp_path / "w.db", idle=10.0, rate=None, committed=print, tell=print)
    ) as watch:
        feed = Batch("sequences", [{"key": "x", "events": ["start", "read", "stop"]}], False, False, None, "")
        (alarm,) = watch.feed(feed)["alarms"]
        first = watch.mark_normal(alarm["alarm"])
        content = own.read_bytes()
        again = watch.mark_normal(alarm["alarm"])
        assert (first["repeated"], again["repeated"]) == (False, True)
        assert again["p_value"]["before"] == again["p_value"]["after"] > first["p_value"]["before"]
        assert own.read_bytes() == content
        assert watch.report["ok"] == [alarm["alarm"]]


def test_of_a_sequence_in_flight_no_end_is_learned(own: Path, tmp_path: Path) -> None:
    calibrated = len(Detector.load(own).calibration.scores)
    with closing(
        WatchTransactions(own, tmp_path / "w.db", idle=10.0, rate=None, committed=print, tell=print)
    ) as watch:
        records = [{"key": "x", "event": event} for event in ("start", "stop", "stop", "sync")]
        (alarm,) = watch.feed(Batch("records", records, False, False, None, ""))["alarms"]
        assert not alarm["ended"]
        watch.mark_normal(alarm["alarm"])
        assert len(Detector.load(own).calibration.scores) == calibrated
        watch.feed(Batch("records", [], True, False, None, ""))  # now it has ended, and is another
        assert not watch.mark_normal(alarm["alarm"])["repeated"]
        assert len(Detector.load(own).calibration.scores) == calibrated + 1
