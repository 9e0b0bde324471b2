"""What a batch holds, and what is no record in it."""

import json
from typing import Any

import pytest

from onward.serve.batches import Batch, batch_of, records_of
from onward.serve.fields import Fields
from onward.serve.limits import Limits
from onward.serve.refusal import Refusal
from onward.watch.readers import Source, reader_of
from onward.watch.records import Record

COLUMNS = Source(form="jsonl", key="host", event=("action",), time="at")


def read(kind: str, items: list[Any], source: Source = COLUMNS, limits: Limits | None = None) -> Any:
    """The records of items from number 10 on, and the reasons of what is none."""
    batch = Batch(kind, items, end=False, verdicts=False, key=None, digest="")
    records, trouble = records_of(batch, source, reader_of(source), 10, limits or Limits())
    return records, [reason for _, reason in trouble.examples]


def test_the_same_event_in_three_ways() -> None:
    (line,), _ = read("lines", ['{"host": "h", "action": "open", "at": 5}'])
    (record,), _ = read("records", [{"key": "h", "event": "open", "time": 5}])
    (whole,), _ = read("sequences", [{"key": "h", "events": ["open"]}])
    assert record == Record("h", "open", 5.0, "open", 10)
    assert line == record._replace(line=line.line)
    assert whole == record._replace(time=None, last=True)


@pytest.mark.parametrize("time", [1764000000, 1764000000000, "2025-11-24T16:00:00Z", "1764000000"])
def test_times_are_seconds_milliseconds_or_written_out(time: Any) -> None:
    (record,), _ = read("records", [{"key": "h", "event": "open", "time": time}])
    assert record.time == 1764000000.0


@pytest.mark.parametrize("time", [True, [], {}, "soon", 10**400])
def test_other_times_are_none(time: Any) -> None:
    records, reasons = read("records", [{"key": "h", "event": "open", "time": time}])
    assert records == [] and len(reasons) == 1


def test_a_sequence_without_a_key_has_its_number() -> None:
    records, _ = read("sequences", [{"events": ["a", "b"]}, {"events": ["c"]}])
    assert [(r.key, r.event, r.last) for r in records] == [
        ("10", "a", False),
        ("10", "b", True),
        ("11", "c", True),
    ]


def test_what_is_deep_is_told_by_its_kind() -> None:
    deep: Any = json.loads("[" * 900 + "]" * 900)
    _, reasons = read("records", [{"key": deep, "event": "open"}, deep, {"key": "h", "event": {"a": deep}}])
    assert reasons == [
        "expected a key, got a list",
        "expected an object, got a list",
        "expected an event, got an object",
    ]


def test_half_a_pair_of_surrogates_is_replaced() -> None:
    records, _ = read("records", [{"key": "\ud800", "event": "\udfff!"}])
    assert [(r.key, r.event) for r in records] == [("?", "?!")]


def test_events_count_wherever_they_stand() -> None:
    few = Limits(batch_records=3)
    assert len(read("sequences", [{"events": ["a", "b", "c"]}], limits=few)[0]) == 3
    with pytest.raises(Refusal, match="at most 3 records"):
        read("sequences", [{"events": ["a", "b"]}] * 2, limits=few)
    body = json.dumps({"lines": [""] * 4}).encode()
    with pytest.raises(Refusal, match="at most 3 records"):
        batch_of(body, Fields(body), few)


def test_a_detector_of_raw_lines_takes_lines_alone() -> None:
    log = Source(form="log", symbols="words")
    assert [r.event for r in read("lines", ["panic at 7"], log)[0]] == ["panic", "at", "<*>"]
    with pytest.raises(Refusal, match="raw log lines"):
        read("records", [], log)
