"""Readers: from lines of any source to records.

    sequences   one sequence a line, its events separated by white space; the key is the number of the line
    csv         columns by their names in the first row (see `csv_rows`)
    jsonl       one JSON object a line, columns by their names
    log         raw lines; events are templates, words, or bytes of the line, its numbers masked in each case

Lines end as they like, and may hold bytes that are no UTF-8. A line that cannot be read is counted, with the
reason, and left out.
"""

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from onward.watch.input.csv_rows import CsvRows
from onward.watch.input.format import InputFormat
from onward.watch.input.lines import text_of
from onward.watch.input.log_templates import LONGEST, Templates, masked
from onward.watch.input.records import Record, UnreadableLines

MOST_BYTES = 1000
"""Bytes of a line that are events of its sequence where symbols are bytes."""


class RecordParser(ABC):
    """Turns lines into records, one after another.

    Args:
        rows: what makes rows of the lines, where they are CSV.

    Attributes:
        trouble: the lines that could not be read.
    """

    def __init__(self, rows: CsvRows | None = None) -> None:
        self.trouble = UnreadableLines()
        self._rows = rows

    @abstractmethod
    def parse(self, line: str, number: int) -> list[Record]:
        """The records of a line, none where it has none.

        Raises:
            ValueError: it cannot be read.
        """

    @property
    def memory(self) -> dict[str, Any] | None:
        """What it must know to go on in the midst of a file, as plain values; None: nothing."""
        return self._rows.to_json() if self._rows else None

    def restore(self, memory: dict[str, Any] | None) -> None:
        """Goes on from the `memory` of another reader of the same source."""
        if self._rows and memory:
            self._rows.restore(memory)

    def read(self, raw: bytes, number: int) -> list[Record]:
        """The records of a line with or without its end; empty lines have none, broken ones are counted.

        A line that a row does not end with has its records when the rest of the row is read.
        """
        line = text_of(raw)
        if self._rows is None:
            return self._parsed(line, number)
        rows = self._rows.take(number, line)
        return [record for first, row in rows for record in self._parsed(row, first)]

    def finish(self) -> list[Record]:
        """The records of what is held, where no line will follow."""
        rows = self._rows.finish() if self._rows else []
        return [record for first, row in rows for record in self._parsed(row, first)]

    def records(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Of all lines, numbered from 1."""
        for number, raw in enumerate(lines, 1):
            yield from self.read(raw, number)
        yield from self.finish()

    def _parsed(self, line: str, number: int) -> list[Record]:
        if not line.strip():
            return []
        try:
            return self.parse(line, number)
        except ValueError as error:
            self.trouble.add(number, str(error))
            return []


class _SequenceReader(RecordParser):
    """One sequence a line."""

    def parse(self, line: str, number: int) -> list[Record]:
        events = line.split()
        last = len(events) - 1
        return [Record(str(number), e, None, line, number, i == last) for i, e in enumerate(events)]


class _ColumnReader(RecordParser):
    """CSV or JSON lines."""

    def __init__(self, source: InputFormat) -> None:
        names = (*source.event, *filter(None, (source.key, source.time)))
        self._source = source
        self._table = CsvRows(names, source.delimiter) if source.form == "csv" else None
        super().__init__(self._table)

    def parse(self, line: str, number: int) -> list[Record]:
        source = self._source
        values = self._table.values(line) if self._table else _object(line)
        if values is None:
            return []
        event = " ".join(_value(values, name) for name in source.event)
        key = _value(values, source.key) if source.key else ""
        when = parse_time(_value(values, source.time)) if source.time else None
        return [Record(key, event, when, line, number)]


class _LogReader(RecordParser):
    """Raw lines."""

    def __init__(self, source: InputFormat, templates: Templates | None) -> None:
        super().__init__()
        self._source, self._templates = source, templates
        self._key = re.compile(source.key_regex) if source.key_regex else None

    def parse(self, line: str, number: int) -> list[Record]:
        if self._key is None:
            events = self._events(line)
            last = len(events) - 1
            return [Record(str(number), e, None, line, number, i == last) for i, e in enumerate(events)]
        found = self._key.search(line)
        if not found:
            raise ValueError(f"there is no {self._source.key_regex} in it")
        key = found.group(1) if self._key.groups else found.group()
        return [Record(key or "", self._events(line)[0], None, line, number)]

    def _events(self, line: str) -> list[str]:
        match self._source.symbols:
            case "words":
                return masked(line[:LONGEST]).split()
            case "bytes":
                text = masked(line[:LONGEST])  # times and numbers only rise: those of tomorrow are all new
                return list(text.encode("utf-8", "replace")[:MOST_BYTES].decode("latin-1"))
            case _:
                assert self._templates is not None
                return [self._templates.event(line)]


def reader_of(source: InputFormat, templates: Templates | None = None) -> RecordParser:
    """What reads lines of a source; log lines by templates need these."""
    match source.form:
        case "sequences":
            return _SequenceReader()
        case "log":
            return _LogReader(source, templates)
        case _:
            return _ColumnReader(source)


def parse_time(value: str) -> float:
    """Seconds since 1970 of a number (of seconds, or of milliseconds, by its size) or of an ISO 8601 time.

    Raises:
        ValueError: neither.
    """
    try:
        number = float(value)
    except ValueError:
        try:
            when = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"expected a time, got {value[:40]!r}") from None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError(f"expected a time, got {value[:40]!r}")
    return number / 1000 if abs(number) > 1e11 else number


def _object(line: str) -> dict[str, Any]:
    """A line of JSON by name.

    Raises:
        ValueError: it is none, or none of names.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("it is JSON, but no object")
    return values


def _value(values: dict[str, Any], name: str) -> str:
    """A column as text; half a pair of surrogates, which an escape can say, has no place in a file."""
    if name not in values:
        there = ", ".join(values)
        raise ValueError(
            f"there is no column {name!r} among {there if len(there) <= 80 else there[:77] + '...'}"
        )
    value = values[name]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else json.dumps(value)
