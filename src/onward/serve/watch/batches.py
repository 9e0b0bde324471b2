"""Batches: what a request of `POST /v1/watch` hands over, and the records in it.

A batch has one list of three kinds:

    lines       as `onward watch run` reads them: of a CSV file the first one names the columns
    records     one event each: {"key", "event", "time", "last"}
    sequences   whole ones: {"key", "events"}

What is no record is counted and told; it refuses no batch.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from onward.serve.http.errors import ApiError
from onward.serve.http.fields import FIELDS_HINT, Fields
from onward.serve.http.limits import Limits
from onward.watch.input.format import InputFormat
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.input.parsers import RecordParser
from onward.watch.input.records import Record, UnreadableLines
from onward.watch.input.times import parse_time

KINDS = ("lines", "records", "sequences")
LONGEST_NAME = 1000
"""Characters of a key, and of an event."""


@dataclass(frozen=True)
class Batch:
    """What a request hands over.

    Attributes:
        kind: one of `KINDS`.
        items: of that kind, not looked at yet.
        end: whether all sequences in flight end behind it.
        verdicts: whether the verdict of each sequence that ended is told.
        key: names the batch for who may send it twice; None: each is another one.
        digest: of the body.
    """

    kind: str
    items: list[Any]
    end: bool
    verdicts: bool
    key: str | None
    digest: str


def batch_of(body: bytes, fields: Fields, limits: Limits) -> Batch:
    """The batch of a request, whose body has these fields.

    Raises:
        Refusal: it has no list, more than one, or one of too many records.
    """
    given = [kind for kind in KINDS if fields.values.get(kind) is not None]
    if len(given) > 1:
        fields.refuse(given[1], f"left out beside {given[0]}")
    kind = given[0] if given else "lines"
    items = fields.values.get(kind) or []
    if not isinstance(items, list):
        fields.refuse(kind, "a list")
    if not given and not fields.flag("end"):
        message = f"expected one of {', '.join(KINDS)}, got none"
        raise ApiError(400, "invalid_value", message, param="lines", hint=FIELDS_HINT)
    _check_size(kind, items, limits)
    key = fields.text("idempotency_key", None, longest=200)
    digest = hashlib.sha256(body).hexdigest()
    return Batch(kind, items, fields.flag("end"), fields.flag("verdicts"), key, digest)


def records_of(
    batch: Batch, source: InputFormat, reader: RecordParser, first: int
) -> tuple[list[Record], UnreadableLines]:
    """The records of a batch, and what could not be read.

    Args:
        batch: as it came.
        source: how the detector's own records are read.
        reader: of these; the names of the columns of a CSV batch are in its first line.
        first: the number of the first item.

    Raises:
        Refusal: the detector reads lines alone.
    """
    if batch.kind != "lines" and source.form == "log":
        message = f"expected lines, since this detector reads raw log lines, got {batch.kind}"
        raise ApiError(400, "invalid_value", message, param=batch.kind, hint="send the lines as they are")
    reader.unreadable = UnreadableLines()
    parse = {"lines": _line, "records": _record, "sequences": _sequence}[batch.kind]
    found: list[Record] = []
    for number, item in enumerate(batch.items, first):
        try:
            found += parse(item, number, reader)
        except ValueError as error:
            reader.unreadable.add(number, str(error))
    return found + reader.finish(), reader.unreadable


def _line(item: Any, number: int, reader: RecordParser) -> list[Record]:
    return reader.read(_text(item, "a line", LONGEST_LINE).encode("utf-8", "replace"), number)


def _record(item: Any, number: int, _: RecordParser) -> list[Record]:
    values = _object(item, ("key", "event", "time", "last"))
    time, last = values.get("time"), values.get("last") or False
    if not isinstance(last, bool):
        raise ValueError(f"expected last to be true or false, got {_shown(last)}")
    if isinstance(time, bool) or not isinstance(time, str | int | float | None):
        raise ValueError(f"expected a time, got {_shown(time)}")
    when = None if time is None else parse_time(str(time))
    event = _text(values.get("event"), "an event", LONGEST_NAME)
    return [Record(_text(values.get("key"), "a key", LONGEST_NAME), event, when, event, number, last)]


def _sequence(item: Any, number: int, _: RecordParser) -> list[Record]:
    values = _object(item, ("key", "events"))
    key = _text(values.get("key", str(number)), "a key", LONGEST_NAME)
    names = values.get("events")
    if not isinstance(names, list) or not names:
        raise ValueError(f"expected a list of events, got {_shown(names)}")
    events = [_text(name, "an event", LONGEST_NAME) for name in names]
    line, last = " ".join(events)[:LONGEST_NAME], len(events) - 1
    return [Record(key, event, None, line, number, i == last) for i, event in enumerate(events)]


def _object(item: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ValueError(f"expected an object, got {_shown(item)}")
    if unknown := [name for name in item if name not in known]:
        raise ValueError(f"expected the fields {', '.join(known)}, got {_shown(unknown[0])}")
    return item


def _text(value: Any, what: str, longest: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected {what}, got {_shown(value)}")
    if len(value) > longest:
        raise ValueError(f"expected {what} of at most {longest:,} characters, got {len(value):,}")
    return value.encode("utf-8", "replace").decode()  # half a pair of surrogates has no place in a file


def _shown(value: Any) -> str:
    """The beginning of what was received, on one line."""
    if isinstance(value, list | dict):  # which may be deeper than can be written
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _check_size(kind: str, items: list[Any], limits: Limits) -> None:
    """Events count wherever they stand: one in a line or a record, all of a sequence."""
    count = sum(map(_length, items)) if kind == "sequences" else len(items)
    if count > limits.batch_records:
        message = f"expected at most {limits.batch_records:,} records in a batch, got {count:,}"
        hint = "send several batches, one after the other"
        raise ApiError(413, "too_large", message, param=kind, hint=hint)


def _length(item: Any) -> int:
    """Events of a sequence, if it is one."""
    events = item.get("events") if isinstance(item, dict) else None
    return len(events) if isinstance(events, list) else 1
