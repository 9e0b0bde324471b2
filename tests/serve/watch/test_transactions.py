"""Transactions on the state of a detector: on a full disk, while time passes, when a sequence is normal."""

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.serve.watched import BAD

from onward.serve.http.errors import ApiError
from onward.serve.watch import transactions
from onward.serve.watch.batches import Batch
from onward.serve.watch.settings import WatchSettings
from onward.serve.watch.transactions import WatchTransactions
from onward.watch.detector import Detector
from onward.watch.stream.store import WatchStore


def batch(kind: str, items: list[Any], *, end: bool = False, key: str | None = None) -> Batch:
    return Batch(kind, items, end=end, verdicts=False, key=key, digest="digest")


ODD = batch("sequences", [{"key": "odd", "events": BAD}], key="name")
ODD_BUT_KNOWN = batch("sequences", [{"key": "x", "events": ["start", "read", "stop"]}])  # no new events


class FakeClock:
    """A clock that stands still, except while something is committed.

    Attributes:
        now: what it shows, in seconds.
        commit_seconds: how long a commit takes.
    """

    def __init__(self) -> None:
        self.now, self.commit_seconds = 100.0, 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock, commit = FakeClock(), WatchStore.commit

    def slow_commit(store: WatchStore) -> None:
        commit(store)
        clock.now += clock.commit_seconds

    monkeypatch.setattr(WatchStore, "commit", slow_commit)
    return clock


@pytest.fixture
def watch(audit: Path, tmp_path: Path, clock: FakeClock) -> Iterator[WatchTransactions]:
    """A detector whose sequences end after ten idle seconds."""
    opened = WatchTransactions(
        audit, tmp_path / "watch.db", WatchSettings(idle=10.0), open_sequences=4, warn=print, clock=clock
    )
    with closing(opened):
        yield opened


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def feed(watch: WatchTransactions, fed: Batch) -> dict[str, Any]:
    response, _ = watch.feed(fed)
    return response


def feed_record(watch: WatchTransactions, key: str, time: float | None) -> int:
    """Reads one record, and returns the number of open sequences."""
    record = {"key": key, "event": "start"} | ({} if time is None else {"time": time})
    return feed(watch, batch("records", [record]))["in_flight"]


def in_flight_after_idle(watch: WatchTransactions) -> int:
    watch.end_idle()
    return watch.report["in_flight"]


def test_a_commit_has_the_new_alarms_and_the_report(watch: WatchTransactions) -> None:
    response, commit = watch.feed(ODD)
    assert commit is not None
    assert [alarm.key for alarm in commit.alarms] == ["odd"]
    assert response["alarms"] == [alarm.to_json() for alarm in commit.alarms]
    assert commit.report == watch.report
    repeated, commit = watch.feed(ODD)
    assert commit is None
    assert repeated == response | {"repeated": True}


def test_on_a_full_disk_nothing_of_a_batch_is_read(watch: WatchTransactions) -> None:
    first = feed(watch, batch("sequences", [{"key": "first", "events": BAD}]))
    with full_disk(), pytest.raises(ApiError) as caught:
        watch.feed(ODD)
    assert (caught.value.status, caught.value.code) == (503, "cannot_write")
    assert caught.value.headers == {"Retry-After": "5"}
    assert watch.report["sequences"] == 1
    assert [alarm.key for alarm in watch.alarms(None, 10)] == ["first"]
    assert watch.explain(1)["alarm"]["key"] == "first"
    response = feed(watch, ODD)
    assert (response["first"], response["repeated"]) == (first["first"] + 1, False)
    assert [alarm.key for alarm in watch.alarms(None, 10)] == ["first", "odd"]


def test_the_second_batch_is_read_if_the_first_one_failed(watch: WatchTransactions) -> None:
    with full_disk(), pytest.raises(ApiError, match="cannot write"):
        watch.feed(ODD)
    assert feed(watch, ODD)["alarms"][0]["key"] == "odd"


def test_a_failed_batch_leaves_the_store_open(
    watch: WatchTransactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk there may be no room to open it again."""
    watch.feed(ODD)

    def fail(*_: object) -> None:
        raise AssertionError("the store was opened again")

    with monkeypatch.context() as patch, full_disk(), pytest.raises(ApiError, match="cannot write"):
        patch.setattr(WatchStore, "__init__", fail)
        feed_record(watch, "a", None)
    assert watch.report["last_alarm"] == 1


def test_the_time_of_a_batch_is_not_silence(watch: WatchTransactions, clock: FakeClock) -> None:
    clock.commit_seconds = 30.0
    assert feed_record(watch, "a", 1e9) == 1
    assert in_flight_after_idle(watch) == 1
    clock.now += 8
    assert in_flight_after_idle(watch) == 1
    clock.now += 8
    assert in_flight_after_idle(watch) == 0


def test_a_quiet_incident_is_closed_without_records(watch: WatchTransactions, clock: FakeClock) -> None:
    feed(watch, ODD)
    assert [incident["closed"] for incident in watch.incidents(None, 5)["data"]] == [False]
    clock.now += 11
    _, commit = watch.end_idle()
    assert commit is not None
    assert [incident["closed"] for incident in watch.incidents(None, 5)["data"]] == [True]


def test_for_records_without_times_the_time_of_the_batch_before_has_passed(
    watch: WatchTransactions, clock: FakeClock
) -> None:
    clock.commit_seconds = 30.0
    assert feed_record(watch, "a", None) == 1
    assert in_flight_after_idle(watch) == 1
    assert feed_record(watch, "b", None) == 1  # "a" was idle for 30 seconds and has ended, "b" has begun
    assert in_flight_after_idle(watch) == 1
    clock.commit_seconds = 3.0
    for _ in range(5):  # batch after batch without a pause
        feed_record(watch, "c", None)
    assert watch.report["in_flight"] == 1


def test_a_backlog_of_records_with_times_ends_no_sequence_that_continues(
    watch: WatchTransactions, clock: FakeClock
) -> None:
    clock.commit_seconds = 3.0
    for second in range(5):
        assert feed_record(watch, "a", 1e9 + second) == 1
    assert in_flight_after_idle(watch) == 1


@pytest.fixture
def learning(own: Path, tmp_path: Path) -> Iterator[WatchTransactions]:
    """A detector whose file may change."""
    opened = WatchTransactions(
        own, tmp_path / "w.db", WatchSettings(idle=10.0), open_sequences=10, warn=print
    )
    with closing(opened):
        yield opened


def test_an_alarm_that_is_marked_twice_is_learned_once(learning: WatchTransactions, own: Path) -> None:
    (alarm,) = feed(learning, ODD_BUT_KNOWN)["alarms"]
    first, _ = learning.mark_normal(alarm["alarm"])
    content = own.read_bytes()
    again, commit = learning.mark_normal(alarm["alarm"])
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again["p_value"]["before"] == again["p_value"]["after"] > first["p_value"]["before"]
    assert own.read_bytes() == content
    assert commit.report["ok"] == learning.report["ok"] == [alarm["alarm"]]


def test_the_end_of_a_sequence_is_learned_only_after_it_has_ended(
    learning: WatchTransactions, own: Path
) -> None:
    calibrated = len(Detector.load(own).calibration.scores)
    records = [{"key": "x", "event": event} for event in ("start", "stop", "stop", "sync")]
    (alarm,) = feed(learning, batch("records", records))["alarms"]
    assert not alarm["ended"]
    learning.mark_normal(alarm["alarm"])
    assert len(Detector.load(own).calibration.scores) == calibrated
    learning.feed(batch("records", [], end=True))
    feedback, _ = learning.mark_normal(alarm["alarm"])  # with its end it is another sequence
    assert not feedback["repeated"]
    assert len(Detector.load(own).calibration.scores) == calibrated + 1


def test_a_detector_that_was_replaced_is_not_overwritten(learning: WatchTransactions, own: Path) -> None:
    (alarm,) = feed(learning, ODD_BUT_KNOWN)["alarms"]
    detector = Detector.load(own)
    for weight in detector.model.parameters():
        weight.data += 1.0
    detector.save(own)
    content = own.read_bytes()
    with pytest.raises(ApiError, match="was replaced by another detector") as caught:
        learning.mark_normal(alarm["alarm"])
    assert (caught.value.status, caught.value.code) == (409, "model_changed")
    assert own.read_bytes() == content


def records(*keys: str, last: bool = False) -> Batch:
    return batch("records", [{"key": key, "event": "start", "last": last} for key in keys])


def test_records_that_would_begin_too_many_sequences_are_refused(watch: WatchTransactions) -> None:
    assert feed(watch, records("a", "b", "c"))["in_flight"] == 3
    with pytest.raises(ApiError, match="at most 4 open sequences, got 2 new ones, while 3") as caught:
        watch.feed(records("a", "d", "e"))
    error = caught.value
    assert (error.status, error.code, error.param) == (429, "too_many_open", "records")
    assert "--open-sequences" in error.hint
    assert error.headers["Retry-After"]
    assert watch.report["records"] == 3
    assert feed(watch, records("a", "d", "b"))["in_flight"] == 4
    assert feed(watch, records("a", "d", "b"))["in_flight"] == 4  # at the limit, open sequences go on
    assert feed(watch, batch("sequences", [{"events": ["start"]}] * 9))["in_flight"] == 4
    assert feed(watch, records("a", "b", last=True))["in_flight"] == 2
    assert feed(watch, records("x", "y"))["in_flight"] == 4


def test_a_batch_that_ends_all_sequences_may_begin_many(watch: WatchTransactions) -> None:
    items = [{"key": str(number), "event": "start"} for number in range(20)]
    assert feed(watch, batch("records", items, end=True))["in_flight"] == 0


def test_idle_sequences_end_some_at_a_time(
    audit: Path, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "ENDS_AT_ONCE", 2)
    options: dict[str, Any] = {"open_sequences": 9, "warn": print, "clock": clock}
    settings = WatchSettings(idle=10.0)
    with closing(WatchTransactions(audit, tmp_path / "watch.db", settings, **options)) as watch:
        feed(watch, records("a", "b", "c", "d"))
        clock.now += 11
        seen, more = list[int](), True
        while more:
            more, commit = watch.end_idle()
            assert commit or not more
            seen.append(watch.report["in_flight"])
    assert seen == [2, 0, 0]
