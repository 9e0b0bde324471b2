"""The records of a batch, and the items in it that are not records."""

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
FIRST = 10


def read(kind: str, items: list[Any], source: InputFormat = COLUMNS) -> tuple[list[Record], list[str]]:
    """The records of items, whose numbers begin with 10, and why the others are not records."""
    batch = Batch(kind, items, end=False, verdicts=False, key=None, digest="")
    records, unreadable = records_of(batch, source, make_parser(source), FIRST)
    return records, [reason for _, reason in unreadable.examples]


def requested(body: bytes, limits: Limits) -> Batch:
    return batch_of(read_model(BatchRequest, body, limits), body, limits)


def test_the_three_kinds_of_items_give_the_same_record() -> None:
    (line,), _ = read("lines", ['{"host": "h", "action": "open", "at": 5}'])
    (record,), _ = read("records", [{"key": "h", "event": "open", "time": 5}])
    (whole,), _ = read("sequences", [{"key": "h", "events": ["open"]}])
    assert record == Record("h", "open", 5.0, "open", FIRST)
    assert line == record._replace(line=line.line)
    assert whole == record._replace(time=None, last=True)


@pytest.mark.parametrize("time", [1764000000, 1764000000000, "2025-11-24T16:00:00Z", "1764000000"])
def test_times_are_numbers_of_seconds_or_milliseconds_or_iso_8601(time: object) -> None:
    (record,), _ = read("records", [{"key": "h", "event": "open", "time": time}])
    assert record.time == 1764000000.0


@pytest.mark.parametrize("time", [True, [], {}, "soon", 10**400])
def test_a_record_with_another_time_is_unreadable(time: object) -> None:
    records, reasons = read("records", [{"key": "h", "event": "open", "time": time}])
    assert records == []
    assert len(reasons) == 1


def test_the_key_of_a_sequence_is_by_default_its_number() -> None:
    records, _ = read("sequences", [{"events": ["a", "b"]}, {"events": ["c"]}])
    assert [(r.key, r.event, r.last) for r in records] == [
        ("10", "a", False),
        ("10", "b", True),
        ("11", "c", True),
    ]


def test_reasons_name_the_kind_of_deeply_nested_values() -> None:
    deep: object = json.loads("[" * 900 + "]" * 900)
    _, reasons = read("records", [{"key": deep, "event": "open"}, deep, {"key": "h", "event": {"a": deep}}])
    assert [reason.rpartition("got ")[2] for reason in reasons] == ["a list", "a list", "an object"]
    assert reasons[1].startswith("expected an object")


def test_unpaired_surrogates_are_replaced() -> None:
    records, _ = read("records", [{"key": "\ud800", "event": "\udfff!"}])
    assert [(r.key, r.event) for r in records] == [("?", "?!")]


@pytest.mark.parametrize(
    ("kind", "item", "count"),
    [("lines", "", 1), ("records", {}, 1), ("sequences", {"events": ["a", "b"]}, 2), ("sequences", {}, 1)],
)
def test_the_limit_counts_events_in_sequences_too(kind: str, item: object, count: int) -> None:
    limits = Limits(batch_records=1200 * count)

    def body(number: int) -> bytes:
        return json.dumps({kind: [item] * number}).encode()

    assert len(requested(body(1200), limits).items) == 1200
    with pytest.raises(ApiError) as caught:
        requested(body(1201), limits)
    assert (caught.value.status, caught.value.param) == (413, kind)


def test_a_detector_of_raw_lines_only_accepts_lines() -> None:
    log = InputFormat(form="log", symbols="words")
    assert [r.event for r in read("lines", ["panic at 7"], log)[0]] == ["panic", "at", "<*>"]
    with pytest.raises(ApiError, match="raw log lines"):
        read("records", [], log)
