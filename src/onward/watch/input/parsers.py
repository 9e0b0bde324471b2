"""Parsers: turn the lines of a source into records, by its input format (see `format`).

Lines may have any line ends, and may contain bytes that are not UTF-8. A line that cannot be parsed is
counted with the reason, and skipped.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from onward.watch.input.containers import ContainerLines
from onward.watch.input.csv_rows import CsvRows
from onward.watch.input.format import InputFormat
from onward.watch.input.key_pattern import SEARCHED, KeyPattern
from onward.watch.input.line_pattern import LinePattern
from onward.watch.input.lines import decode_line, plain_text
from onward.watch.input.log_templates import TemplateMiner, Templates
from onward.watch.input.masks import mask_line
from onward.watch.input.number_statistics import NumberMiner, NumberStatistics
from onward.watch.input.numbers import ColumnNumbers, Numbers
from onward.watch.input.records import Record, UnreadableLines
from onward.watch.input.sequence_key import NO_KEYS
from onward.watch.input.times import parse_time

MOST_BYTES = 1000
"""Maximum number of events of a line whose symbols are bytes; further bytes are dropped."""

LONGEST_NAME = 1000
"""Maximum number of characters of a key or an event. Longer events are cut, longer keys unreadable."""

MOST_CONTINUED = 1000
"""Maximum number of lines that continue a record, such as a stack trace; further lines are unreadable."""

_SHOWN_COLUMNS = 80
_PAIR = re.compile(r"""(?:^|(?<=\s))([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)""")

_Templates = Templates | TemplateMiner | NumberMiner
_Measures = ColumnNumbers | NumberStatistics


class RecordParser(ABC):
    """Parses lines one after another.

    Args:
        rows: collects lines into rows; None: each line is parsed alone.
        container: unwraps lines; None: they are not wrapped.

    Attributes:
        unreadable: the lines that could not be parsed.
    """

    def __init__(self, rows: CsvRows | None = None, container: ContainerLines | None = None) -> None:
        self.unreadable = UnreadableLines()
        self._rows, self._container = rows, container
        self._number = 0  # of the last line

    @abstractmethod
    def parse(self, line: str, number: int) -> list[Record]:
        """Returns the records of a line or a row; none for the header of a CSV file.

        Raises:
            ValueError: the line cannot be parsed.
        """

    @property
    def state(self) -> dict[str, Any] | None:
        """JSON values with which `restore` continues in the middle of a file; None: there is no state."""
        joins = self._rows or self._container
        return joins.to_json() if joins else None

    def restore(self, state: Any) -> None:
        """Continues from a `state`.

        Raises:
            ValueError: it is damaged.
        """
        joins = self._rows or self._container
        if joins and state:
            joins.restore(state)

    def read(self, raw: bytes, number: int) -> list[Record]:
        """Returns the records of a line, with or without its line end.

        Empty lines have no records. The records of a row that spans lines come with its last line, and those
        of a line in parts with its last part.
        """
        line, self._number = decode_line(raw), number
        if self._container:
            return self._unwrap(self._container, line, number)
        if self._rows is None:
            return self._parse_or_count(line, number)
        rows = self._rows.add_line(number, line)
        return [record for first, row in rows for record in self._parse_or_count(row, first)]

    def finish(self) -> list[Record]:
        """Returns the records of pending lines, at the end of the source."""
        rows = self._rows.finish() if self._rows else []
        rows += [(self._number, line.content) for line in self._container.finish()] if self._container else []
        return [record for first, row in rows for record in self._parse_or_count(row, first)]

    def records(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Yields the records of a whole source, whose lines are numbered from 1."""
        for number, raw in enumerate(lines, 1):
            yield from self.read(raw, number)
        yield from self.finish()

    def _unwrap(self, container: ContainerLines, line: str, number: int) -> list[Record]:
        if not line.strip():
            return []
        try:
            found = container.add(line)
        except ValueError as error:
            self.unreadable.add(number, str(error))
            return []
        records = self._parse_or_count(found.content, number) if found else []
        return [r if r.time is not None else r._replace(time=found.time) for r in records if found]

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
    """Lines with columns: CSV, JSON lines, logfmt, and log lines with a pattern."""

    def __init__(
        self, source: InputFormat, templates: _Templates | None, measures: _Measures | None = None
    ) -> None:
        names = (*source.event, *filter(None, (source.key, source.time)))
        self._format, self._templates, self._measures = source, templates, measures
        self._table = CsvRows(names, source.delimiter) if source.form == "csv" else None
        self._pattern = LinePattern(source.pattern, (*names, *source.measures)) if source.pattern else None
        self._key = KeyPattern(source.key_regex) if source.key_regex else None
        self._continued = MOST_CONTINUED  # lines since the last one with a header; at first there was none
        super().__init__(self._table, ContainerLines(source.container) if source.container else None)

    def parse(self, line: str, number: int) -> list[Record]:
        values = self.columns(line)
        if values is None:
            return []
        event = self._event(values)
        key = self._key_of(values, line)
        if key is not None and len(key) > LONGEST_NAME:
            raise ValueError(f"expected a key of at most {LONGEST_NAME:,} characters, got {len(key):,}")
        time = self._time(values)
        if key is None:
            return [Record(str(number), event[:LONGEST_NAME], time, line, number, last=True)]
        return [Record(key, event[:LONGEST_NAME], time, line, number)]

    def columns(self, line: str) -> dict[str, Any] | None:
        """Returns the columns of a line by name; None if it is no record, but part of another one.

        Raises:
            ValueError: the line cannot be parsed.
        """
        match self._format.form:
            case "jsonl":
                return _json_object(line)
            case "logfmt":
                return logfmt_pairs(line)
            case "csv":
                assert self._table
                return self._table.cells(line)
            case _:
                return self._fields(line)

    def _fields(self, line: str) -> dict[str, Any] | None:
        assert self._pattern
        fields = self._pattern.fields(line)
        self._continued = 0 if fields else self._continued + 1
        if self._continued > MOST_CONTINUED:
            raise ValueError("the line does not begin as the lines that were learned do")
        return fields

    def _event(self, values: dict[str, Any]) -> str:
        """Returns the event of a record, which has at least one of the columns.

        Raises:
            ValueError: it has none of them, or lacks one and the format is not lenient.
        """
        kinds: list[str] = []
        parts: list[str] = []
        for place, name in enumerate(self._format.event, 1):
            try:
                text = text_of_column(values, name)
            except ValueError:
                if not self._format.lenient or (place == len(self._format.event) and not parts):
                    raise
                continue
            kind, part = text, text
            if self._templates and name in self._format.text:
                kind, part = self._templates.kind_and_event(text)
            kinds.append(kind)
            parts.append(part)
        event = " ".join(filter(None, parts))
        if self._measures is None:
            return event
        return event + self._measures.suffix(" ".join(filter(None, kinds)), self._numbers(values))

    def _numbers(self, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yields the measures that a record has: the name of the column, and the value."""
        for name in self._format.measures:
            with suppress(ValueError):
                yield name, text_of_column(values, name)

    def _key_of(self, values: dict[str, Any], line: str) -> str | None:
        """Returns the key of a record; None if it is a sequence of its own."""
        if self._key:
            key = self._key.find(line)
            if key is None and not self._format.lenient:
                raise ValueError(f"no match of {self._format.key_regex}")
            return key
        if self._format.key is None:
            return None if self._format.lenient else ""
        if not self._format.lenient:
            return text_of_column(values, self._format.key)
        with suppress(ValueError):
            key = text_of_column(values, self._format.key)
            return None if key in NO_KEYS else key
        return None

    def _time(self, values: dict[str, Any]) -> float | None:
        if self._format.time is None:
            return None
        if not (self._format.lenient or self._pattern):
            return parse_time(text_of_column(values, self._format.time))
        with suppress(ValueError):
            return parse_time(text_of_column(values, self._format.time))
        return None


class _LogParser(RecordParser):
    """Raw log lines without columns."""

    def __init__(self, source: InputFormat, templates: _Templates | None) -> None:
        super().__init__(container=ContainerLines(source.container) if source.container else None)
        self._format, self._templates = source, templates
        self._key = KeyPattern(source.key_regex) if source.key_regex else None

    def parse(self, line: str, number: int) -> list[Record]:
        key = self._key.find(line) if self._key else None
        if key is not None:
            return [Record(key, self._events(line)[0], None, line, number)]
        if self._key is None or self._format.lenient:
            return _sequence_of_line(self._events(line), line, number)
        raise ValueError(f"no match of {self._format.key_regex}")

    def _events(self, line: str) -> list[str]:
        match self._format.symbols:
            case "words":
                return mask_line(line).split()
            case "bytes":
                # masked, because times and counters rise: tomorrow all of them would be new
                return list(mask_line(line).encode("utf-8", "replace")[:MOST_BYTES].decode("latin-1"))
            case "templates":
                assert self._templates is not None
                return [self._templates.event(line)[:LONGEST_NAME]]


def make_parser(
    source: InputFormat, templates: _Templates | None = None, measures: _Measures | None = None
) -> RecordParser:
    """Returns the parser for a format. Events with templates need the templates.

    Args:
        source: the format.
        templates: the templates, or what learns from the lines in their place.
        measures: the rules of the measures, or what learns them.
    """
    if source.has_columns:
        return _ColumnParser(source, templates, measures if source.measures else None)
    return _SequenceParser() if source.form == "sequences" else _LogParser(source, templates)


def mine_templates(source: InputFormat, lines: Iterable[bytes]) -> Templates:
    """Returns the templates of the texts that are part of the events of a source."""
    miner = TemplateMiner()
    for _ in make_parser(source, miner).records(lines):
        pass
    return miner.templates()


def learn_numbers(
    source: InputFormat, templates: Templates | None, lines: Iterable[bytes]
) -> tuple[Numbers, Numbers]:
    """Returns the rules for the numbers in the templates of a source, and for its columns with measures."""
    if templates is None and not source.measures:
        return {}, {}
    in_texts, in_columns = NumberMiner(templates or Templates(())), NumberStatistics(has_codes=False)
    for _ in make_parser(source, in_texts, in_columns).records(lines):
        pass
    return in_texts.numbers(), in_columns.numbers()


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


def logfmt_pairs(line: str) -> dict[str, Any]:
    """Returns the pairs in the first `SEARCHED` characters of a logfmt line.

    Raises:
        ValueError: there is none.
    """
    pairs = {
        name: re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        for name, value in _PAIR.findall(line[:SEARCHED])
    }
    if not pairs:
        raise ValueError("expected name=value pairs, got none")
    return pairs


def text_of_column(values: dict[str, Any], name: str) -> str:
    """Returns the value of a column as text that can be encoded: lone surrogates are replaced.

    The name a.b also means the field b of the object a. A list of bytes, as journald writes a message that is
    not plain, is decoded.

    Raises:
        ValueError: there is no such column.
    """
    value = _value(values, name)
    try:
        text = value if isinstance(value, str) else _decoded(value) or json.dumps(value)
    except RecursionError as error:
        raise ValueError(f"column {name!r} is nested too deeply") from error
    return plain_text(text if text.isascii() else text.encode("utf-8", "replace").decode())


def _value(values: dict[str, Any], name: str) -> Any:
    if name in values:
        return values[name]
    inner: Any = values
    for part in name.split("."):
        if not isinstance(inner, dict) or part not in inner:
            names = ", ".join(values)
            shown = names if len(names) <= _SHOWN_COLUMNS else f"{names[: _SHOWN_COLUMNS - 3]}..."
            raise ValueError(f"no column {name!r} among {shown}")
        inner = inner[part]
    return inner


def _decoded(value: Any) -> str:
    """Returns the text of a list of bytes; "" if the value is another one."""
    if isinstance(value, list):
        with suppress(ValueError, TypeError):
            return bytes(value).decode("utf-8", "replace")
    return ""
