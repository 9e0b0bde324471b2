"""Batches of `POST /v1/watch`, and the records in them.

A batch has one list, of one of three kinds:

    lines       lines as `onward watch run` reads them; the first line of CSV names the columns
    records     single events: {"key", "event", "time", "last"}
    sequences   complete sequences: {"key", "events"}

An item that is not a record is counted and reported; the rest of the batch is read.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, SkipValidation, ValidationError

from onward.serve.http.errors import FIELDS_HINT, ApiError, invalid_value
from onward.serve.http.limits import Limits
from onward.serve.http.validation import AtMost, RequestModel, expectation
from onward.watch.input.format import InputFormat
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.input.parsers import LONGEST_NAME, RecordParser
from onward.watch.input.records import Record, UnreadableLines
from onward.watch.input.times import parse_time

KINDS = ("lines", "records", "sequences")
_ANY_LIMITS = Limits()  # the models of items have no limits that differ between servers
_Item = TypeVar("_Item", bound=RequestModel)


def _paired(text: str) -> str:
    """Replaces unpaired surrogates, since no file can hold them."""
    return text.encode("utf-8", "replace").decode()


Name: TypeAlias = Annotated[str, AtMost(LONGEST_NAME), AfterValidator(_paired)]


class EventRecord(RequestModel):
    """One event. It ends its sequence if `last` is true."""

    key: Name
    event: Name
    time: float | str | None = Field(
        None,
        description="ISO 8601, or seconds, milli-, micro- or nanoseconds since 1970. Default: unknown.",
    )
    last: bool = False


class EventSequence(RequestModel):
    """The events of a complete sequence."""

    key: Name | None = Field(None, description="Default: the number of the item.")
    events: Annotated[list[Name], Field(min_length=1, fail_fast=True)]


class BatchRequest(RequestModel):
    """A batch: one of `lines`, `records` and `sequences`, or only `end`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"records": [{"key": "s1", "event": "open"}], "end": False}]}
    )

    model: str | None = Field(None, description="Id of a detector. Default: the first detector.")
    lines: Annotated[list[SkipValidation[str]], AtMost("batch_records")] | None = None
    records: Annotated[list[SkipValidation[EventRecord]], AtMost("batch_records")] | None = None
    sequences: Annotated[list[SkipValidation[EventSequence]], AtMost("batch_records")] | None = None
    idempotency_key: Annotated[str, AtMost(200)] | None = Field(
        None, description="Name of the batch. A batch that is sent twice under one name is read once."
    )
    verdicts: bool = Field(False, description="Whether to return the verdict on each sequence that ended.")
    end: bool = Field(False, description="Whether all open sequences end with this batch.")


@dataclass(frozen=True)
class Batch:
    """A batch of one kind.

    Attributes:
        kind: one of `KINDS`.
        items: lines, records or sequences, not checked yet.
        end: whether all open sequences end with the batch.
        verdicts: whether to return the verdict on each sequence that ended.
        key: name of the batch, if its client may send it twice.
        digest: SHA-256 of the body.
    """

    kind: str
    items: list[Any]
    end: bool
    verdicts: bool
    key: str | None
    digest: str


def batch_of(asked: BatchRequest, body: bytes, limits: Limits) -> Batch:
    """Returns the batch of a request.

    Raises:
        ApiError: the request has no list, several lists, or too many records.
    """
    given = [kind for kind in KINDS if getattr(asked, kind) is not None]
    if len(given) > 1:
        raise invalid_value(given[1], f"left out, since {given[0]} is given", getattr(asked, given[1]))
    if not given and not asked.end:
        message = f"expected one of {', '.join(KINDS)}, got none"
        raise ApiError(400, "invalid_value", message, param="lines", hint=FIELDS_HINT)
    kind = given[0] if given else "lines"
    items = getattr(asked, kind) or []
    _check_size(kind, items, limits)
    digest = hashlib.sha256(body).hexdigest()
    return Batch(kind, items, asked.end, asked.verdicts, asked.idempotency_key, digest)


def records_of(
    batch: Batch, source: InputFormat, reader: RecordParser, first: int
) -> tuple[list[Record], UnreadableLines]:
    """Returns the records of a batch, and what could not be read.

    Args:
        batch: the batch.
        source: input format of the detector.
        reader: parses lines; of CSV, the first line of the batch names the columns.
        first: number of the first item.

    Raises:
        ApiError: the detector only reads lines.
    """
    if batch.kind != "lines" and (source.form == "log" or source.has_templates):
        message = f"expected lines, since this detector reads raw log lines, got {batch.kind}"
        raise ApiError(400, "invalid_value", message, param=batch.kind, hint="send the lines unchanged")
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
    if not isinstance(item, str):
        raise ValueError(f"expected a line, got {_shown(item)}")
    if len(item) > LONGEST_LINE:
        raise ValueError(f"expected a line of at most {LONGEST_LINE:,} characters, got {len(item):,}")
    return reader.read(item.encode("utf-8", "replace"), number)


def _record(item: Any, number: int, _: RecordParser) -> list[Record]:
    found = _checked(EventRecord, item)
    time = None if found.time is None else parse_time(str(found.time))
    return [Record(found.key, found.event, time, found.event, number, found.last)]


def _sequence(item: Any, number: int, _: RecordParser) -> list[Record]:
    found = _checked(EventSequence, item)
    key = str(number) if found.key is None else found.key
    line, last = " ".join(found.events)[:LONGEST_NAME], len(found.events) - 1
    return [Record(key, event, None, line, number, i == last) for i, event in enumerate(found.events)]


def _checked(model: type[_Item], item: Any) -> _Item:
    """Checks an item.

    Raises:
        ValueError: a field is wrong; the message names it.
    """
    if not isinstance(item, dict):
        raise ValueError(f"expected an object, got {_shown(item)}")
    try:
        return model.model_validate(item)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
    if name not in model.model_fields:
        raise ValueError(f"expected the fields {', '.join(model.model_fields)}, got {_shown(name)}")
    expected = expectation(model, name, _ANY_LIMITS)
    raise ValueError(f"expected {name} to be {expected}, got {_shown(item.get(name))}")


def _shown(value: Any) -> str:
    """Returns the beginning of a value, on one line."""
    if isinstance(value, list | dict):  # it may be nested too deeply for json.dumps
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _check_size(kind: str, items: list[Any], limits: Limits) -> None:
    """Checks the number of records. Events of sequences count too: a few sequences may be long."""
    count = sum(map(_length, items)) if kind == "sequences" else len(items)
    if count > limits.batch_records:
        message = f"expected at most {limits.batch_records:,} records in a batch, got {count:,}"
        raise ApiError(
            413, "too_large", message, param=kind, hint="send several batches, one after the other"
        )


def _length(item: Any) -> int:
    events = item.get("events") if isinstance(item, dict) else None
    return len(events) if isinstance(events, list) else 1
