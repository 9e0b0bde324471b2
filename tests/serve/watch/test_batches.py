"""Batches: their records, and items that are not records."""

import json
from typing import Any

import pytest

from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.validation import read_model
from onward.serve.watch.batches import Batch, BatchRequest, batch_of, records_of
from onward.watch.input.format import InputFormat
from onward.watch.input.parsers import make_parser
from onward.watch.input.records import Record

COLUMNS = InputFormat(form="jsonl", key="host", event=("action",), time="at")


def read(kind: str, items: list[Any], source: InputFormat = COLUMNS) -> Any:
    """Returns the records of items that begin with number 10, and why other items are not records."""
    batch = Batch(kind, items, end=False, verdicts=False, key=None, digest="")
    records, trouble = records_of(batch, source, make_parser(source), 10)
    return records, [reason for _, reason in trouble.examples]


def test_the_same_event_as_line_record_and_sequence() -> None:
    (line,), _ = read("lines", ['{"host": "h", "action": "open", "at": 5}'])
    (record,), _ = read("records", [{"key": "h", "event": "open", "time": 5}])
    (whole,), _ = read("sequences", [{"key": "h", "events": ["open"]}])
    assert record == Record("h", "open", 5.0, "open", 10)
    assert line == record._replace(line=line.line)
    assert whole == record._replace(time=None, last=True)


@pytest.mark.parametrize("time", [1764000000, 1764000000000, "2025-11-24T16:00:00Z", "1764000000"])
def test_times_are_seconds_milliseconds_or_iso_8601(time: Any) -> None:
    (record,), _ = read("records", [{"key": "h", "event": "open", "time": time}])
    assert record.time == 1764000000.0


@pytest.mark.parametrize("time", [True, [], {}, "soon", 10**400])
def test_other_times_are_unreadable(time: Any) -> None:
    records, reasons = read("records", [{"key": "h", "event": "open", "time": time}])
    assert records == [] and len(reasons) == 1


def test_the_key_of_a_sequence_defaults_to_its_number() -> None:
    records, _ = read("sequences", [{"events": ["a", "b"]}, {"events": ["c"]}])
    assert [(r.key, r.event, r.last) for r in records] == [
        ("10", "a", False),
        ("10", "b", True),
        ("11", "c", True),
    ]


def test_nested_values_are_reported_by_their_type() -> None:
    deep: Any = json.loads("[" * 900 + "]" * 900)
    _, reasons = read("records", [{"key": deep, "event": "open"}, deep, {"key": "h", "event": {"a": deep}}])
    assert reasons == [
        "expected key to be a text with at most 1000 characters, got a list",
        "expected an object, got a list",
        "expected event to be a text with at most 1000 characters, got an object",
    ]


def test_unpaired_surrogates_are_replaced() -> None:
    records, _ = read("records", [{"key": "\ud800", "event": "\udfff!"}])
    assert [(r.key, r.event) for r in records] == [("?", "?!")]


@pytest.mark.parametrize(
    ("kind", "item", "count"),
    [("lines", "", 1), ("records", {}, 1), ("sequences", {"events": ["a", "b"]}, 2), ("sequences", {}, 1)],
)
def test_the_events_of_sequences_count_as_records(kind: str, item: Any, count: int) -> None:
    def given(number: int) -> Batch:
        body = json.dumps({kind: [item] * number}).encode()
        limits = Limits(batch_records=1200 * count)
        return batch_of(read_model(BatchRequest, body, limits), body, limits)

    assert len(given(1200).items) == 1200
    message = f"{1200 * count:,} .*got {1201 * count:,}"
    with pytest.raises(ApiError, match=message) as caught:
        given(1201)
    assert (caught.value.status, caught.value.param) == (413, kind)
    assert "several" in caught.value.hint


def test_a_detector_of_raw_log_lines_only_reads_lines() -> None:
    log = InputFormat(form="log", symbols="words")
    assert [r.event for r in read("lines", ["panic at 7"], log)[0]] == ["panic", "at", "<*>"]
    with pytest.raises(ApiError, match="raw log lines"):
        read("records", [], log)
