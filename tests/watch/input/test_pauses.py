"""The time without a record after which a sequence ends, learned from normal sequences."""

from pathlib import Path

import pytest

from onward.watch.datasets import load_normal
from onward.watch.input.detection import FormatOptions
from onward.watch.input.pauses import IDLE, Pauses, idle_seconds
from onward.watch.input.records import Record


def record(key: str, time: float | None, *, last: bool = False) -> Record:
    return Record(key, "event", time, "line", 1, last)


def longest(*records: Record) -> float | None:
    pauses = Pauses()
    assert [*pauses.noted(records)] == [*records]
    return pauses.longest


def test_the_longest_pause_is_within_a_sequence() -> None:
    assert longest(record("a", 0), record("b", 1), record("b", 8), record("a", 5), record("c", 90)) == 7


def test_a_pause_between_two_sequences_of_one_key_does_not_count() -> None:
    assert longest(record("a", 0), record("a", 2, last=True), record("a", 500), record("a", 501)) == 2


def test_a_time_that_runs_backwards_is_no_pause() -> None:
    assert longest(record("a", 9), record("a", 5)) == 0


def test_without_times_or_without_a_second_record_there_is_no_pause() -> None:
    assert longest(record("a", None), record("a", None)) is None
    assert longest(record("a", 1), record("b", 2)) is None
    assert idle_seconds({"longest_pause": None}) == IDLE
    assert idle_seconds({}) == IDLE


@pytest.mark.parametrize(("pause", "idle"), [(0.01, 60), (45, 90), (7200, 14_400), (86_400 * 365.0, 86_400)])
def test_a_sequence_ends_after_twice_the_longest_pause_within_bounds(pause: float, idle: float) -> None:
    assert idle_seconds({"longest_pause": pause}) == idle


def test_learning_from_a_log_stores_its_longest_pause(tmp_path: Path) -> None:
    lines = (
        f"2026-11-30 {9 + job // 60:02}:{job % 60:02}:{second:02} job {job} {step}\n"
        for job in range(120)
        for second, step in ((0, "started"), (40, "copied files"), (45, "finished"))
    )
    log = tmp_path / "jobs.log"
    log.write_text("".join(lines), encoding="utf-8")
    dataset = load_normal([log], FormatOptions())
    assert len(dataset.sequences) == 120
    assert dataset.source["longest_pause"] == 40
