"""Parsers: turn the lines of a source into records, by its input format (see `format`).

Lines may have any line ends, and may contain bytes that are not UTF-8. A line that cannot be parsed is
counted with the reason, and skipped.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from onward.watch.input.csv_rows import CsvRows
from onward.watch.input.format import InputFormat
from onward.watch.input.key_pattern import KeyPattern
from onward.watch.input.lines import decode_line
from onward.watch.input.log_templates import Templates, mask_line
from onward.watch.input.records import Record, UnreadableLines
from onward.watch.input.times import parse_time

MOST_BYTES = 1000
"""Maximum number of events of a line whose symbols are bytes; further bytes are dropped."""

LONGEST_NAME = 1000
"""Maximum number of characters of a key or an event. Longer events are cut, longer keys unreadable."""

_SHOWN_COLUMNS = 80


class RecordParser(ABC):
    """Parses lines one after another.

    Args:
        rows: collects lines into rows; None: each line is parsed alone.

    Attributes:
        unreadable: the lines that could not be parsed.
    """

    def __init__(self, rows: CsvRows | None = None) -> None:
        self.unreadable = UnreadableLines()
        self._rows = rows

    @abstractmethod
    def parse(self, line: str, number: int) -> list[Record]:
        """Returns the records of a line or a row; none for the header of a CSV file.

        Raises:
            ValueError: the line cannot be parsed.
        """

    @property
    def state(self) -> dict[str, Any] | None:
        """JSON values with which `restore` continues in the middle of a file; None: there is no state."""
        return self._rows.to_json() if self._rows else None

    def restore(self, state: Any) -> None:
        """Continues from a `state`.

        Raises:
            ValueError: it is damaged.
        """
        if self._rows and state:
            self._rows.restore(state)

    def read(self, raw: bytes, number: int) -> list[Record]:
        """Returns the records of a line, with or without its line end.

        Empty lines have no records. The records of a row that spans lines come with its last line.
        """
        line = decode_line(raw)
        if self._rows is None:
            return self._parse_or_count(line, number)
        rows = self._rows.add_line(number, line)
        return [record for first, row in rows for record in self._parse_or_count(row, first)]

    def finish(self) -> list[Record]:
        """Returns the records of pending lines, at the end of the source."""
        rows = self._rows.finish() if self._rows else []
        return [record for first, row in rows for record in self._parse_or_count(row, first)]

    def records(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Yields the records of a whole source, whose lines are numbered from 1."""
        for number, raw in enumerate(lines, 1):
            yield from self.read(raw, number)
        yield from self.finish()

    def _parse_or_count(self, line: str, number: int) -> list[Record]:
        if not line.strip():
            return []
        try:
            return self.parse(line, number)
        except ValueError as error:
            self.unreadable.add(number, str(error))
            return []


class _SequenceParser(RecordParser):
    """One sequence per line."""

    def parse(self, line: str, number: int) -> list[Record]:
        return _sequence_of_line(line.split(), line, number)


class _ColumnParser(RecordParser):
    """CSV or JSON lines."""

    def __init__(self, source: InputFormat) -> None:
        names = (*source.event, *filter(None, (source.key, source.time)))
        self._format = source
        self._table = CsvRows(names, source.delimiter) if source.form == "csv" else None
        super().__init__(self._table)

    def parse(self, line: str, number: int) -> list[Record]:
        source = self._format
        values = self._table.cells(line) if self._table else _json_object(line)
        if values is None:
            return []
        event = " ".join(_text_of_column(values, name) for name in source.event)[:LONGEST_NAME]
        key = _text_of_column(values, source.key) if source.key else ""
        if len(key) > LONGEST_NAME:
            raise ValueError(f"expected a key of at most {LONGEST_NAME:,} characters, got {len(key):,}")
        time = parse_time(_text_of_column(values, source.time)) if source.time else None
        return [Record(key, event, time, line, number)]


class _LogParser(RecordParser):
    """Raw log lines."""

    def __init__(self, source: InputFormat, templates: Templates | None) -> None:
        super().__init__()
        self._format, self._templates = source, templates
        self._key = KeyPattern(source.key_regex) if source.key_regex else None

    def parse(self, line: str, number: int) -> list[Record]:
        if self._key is None:
            return _sequence_of_line(self._events(line), line, number)
        key = self._key.find(line)
        if key is None:
            raise ValueError(f"no match of {self._format.key_regex}")
        return [Record(key, self._events(line)[0], None, line, number)]

    def _events(self, line: str) -> list[str]:
        match self._format.symbols:
            case "words":
                return mask_line(line).split()
            case "bytes":
                # masked, because times and counters rise: tomorrow all of them would be new
                return list(mask_line(line).encode("utf-8", "replace")[:MOST_BYTES].decode("latin-1"))
            case "templates":
                assert self._templates is not None
                return [self._templates.event(line)]


def make_parser(source: InputFormat, templates: Templates | None = None) -> RecordParser:
    """Returns the parser for a format. Log lines whose events are templates need the templates."""
    match source.form:
        case "sequences":
            return _SequenceParser()
        case "csv" | "jsonl":
            return _ColumnParser(source)
        case "log":
            return _LogParser(source, templates)


def _sequence_of_line(events: list[str], line: str, number: int) -> list[Record]:
    """Returns records that make the line a sequence; its key is the line number."""
    last = len(events) - 1
    return [
        Record(str(number), event[:LONGEST_NAME], None, line, number, i == last)
        for i, event in enumerate(events)
    ]


def _json_object(line: str) -> dict[str, Any]:
    """Returns the fields of a JSON line.

    Raises:
        ValueError: the line is not JSON, or not an object.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return values


def _text_of_column(values: dict[str, Any], name: str) -> str:
    """Returns the value of a column as text that can be encoded: lone surrogates are replaced."""
    if name not in values:
        names = ", ".join(values)
        shown = names if len(names) <= _SHOWN_COLUMNS else f"{names[: _SHOWN_COLUMNS - 3]}..."
        raise ValueError(f"no column {name!r} among {shown}")
    value = values[name]
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError as error:
        raise ValueError(f"column {name!r} is nested too deeply") from error
    return text.encode("utf-8", "replace").decode()
