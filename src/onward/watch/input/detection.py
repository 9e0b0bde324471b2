"""Finds the input format of a source by a sample of its lines.

The form follows from what nearly all lines share. The columns follow from their values: a time is what parses
as one, a level has a level's names, and a message is what has most words. A key is what makes the events most
predictable: the events that follow each other within a key are coded in fewer bits.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from onward.errors import InputError
from onward.watch.input.column_roles import SampledColumns, is_time
from onward.watch.input.containers import ContainerLines, container_of
from onward.watch.input.csv_rows import CsvRows
from onward.watch.input.format import COMPRESSED, Container, Form, InputFormat, LogSymbols
from onward.watch.input.line_pattern import MESSAGE, LinePattern, find_pattern
from onward.watch.input.lines import decode_line
from onward.watch.input.log_templates import Templates
from onward.watch.input.parsers import logfmt_pairs
from onward.watch.input.sequence_key import find_key

SAMPLED_LINES = 4000
"""Number of lines at the start of a source that tell its format."""

_LONGEST = 1 << 16
"""Characters of a line to use."""

_SHARE, _NEARLY_ALL = 0.9, 0.95
_FEW_EVENTS, _MANY_DISTINCT = 20, 0.1
"""Lines are sequences of events if up to this number of words, or up to this share of all, are distinct."""

_JSON_LINES = (".jsonl", ".json", ".ndjson")
_DELIMITERS = ",;\t| "

_REQUEST = (
    r"^(?:(?P<site>\S+:\d+) )?(?P<client>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<method>[A-Z]+) (?P<path>[^ ?"]*)[^"]*" (?P<status>\d{3})(?: (?P<bytes>\d+))?(?P<message>.*)$'
)
"""A line of a web server: the common and the combined log format."""

_SYSLOG = (
    r"^<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<source>\S+) (?P<pid>\S+) (?P<id>\S+) "
    r"(?:-|(?P<data>(?:\[[^\]]*\])+)) ?(?P<message>.*)$"
)
"""A line of syslog by RFC 5424."""

_KNOWN = {_REQUEST: ("method", "path", "status"), _SYSLOG: ("source", MESSAGE)}
"""Patterns of standards, and the columns that are the event."""

_MEASURES = {"bytes"}
"""Fields of these patterns that may be measures. Fields that were found in other headers are not measures."""


@dataclass(frozen=True)
class FormatOptions:
    """What a user says about the format of a source. The attributes are those of `InputFormat`.

    Attributes:
        form: kind of lines; None: it is detected.
        key: column of the key.
        event: columns of the event; (): they are detected.
        time: column of the time.
        key_regex: pattern that finds the key in a line.
        symbols: kind of the events of a log line.
        delimiter: character between the columns of a CSV row; None: it is detected.
        measures: columns with measures; (): they are detected.
    """

    form: Form | None = None
    key: str | None = None
    event: tuple[str, ...] = ()
    time: str | None = None
    key_regex: str | None = None
    symbols: LogSymbols = "templates"
    delimiter: str | None = None
    measures: tuple[str, ...] = ()


def detect_format(raw: Iterable[bytes], options: FormatOptions, name: str = "") -> InputFormat:
    """Returns the format of a source.

    Args:
        raw: its lines, of which the first `SAMPLED_LINES` are read.
        options: what is known about it.
        name: its name, whose suffix tells its form if its lines do not.

    Raises:
        InputError: options that do not belong to the form.
    """
    lines = [line[:_LONGEST] for line in map(decode_line, islice(raw, SAMPLED_LINES)) if line.strip()]
    container = None
    if options.form in (None, "log") and not options.event and (container := container_of(lines)):
        lines, name = _contents(container, lines), ""
    form = options.form or _form(lines, options, name)
    if container and form in ("sequences", "csv"):
        form = "log"
    if form == "sequences":
        if options.delimiter is not None:
            raise InputError(
                "sources with one sequence per line have no delimiter", hint="leave out --delimiter"
            )
        return InputFormat(
            form, options.key, options.event, options.time, options.key_regex, measures=options.measures
        )
    if form == "log":
        return _log_format(lines, options, container)
    delimiter = options.delimiter
    if delimiter is None:
        delimiter = (form == "csv" and _delimiter(lines)) or ","
    source = InputFormat(form, event=("?",), symbols=options.symbols, delimiter=delimiter)
    return _column_format(source, list(_rows(lines, source)), options, container)


def _form(lines: Sequence[str], options: FormatOptions, name: str) -> Form:
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    if options.symbols != "templates":
        return "log"
    if name.endswith(_JSON_LINES) or _share(lines, _is_object) >= _SHARE:
        return "jsonl"
    if _share(lines, _is_logfmt) >= _SHARE:
        return "logfmt"
    if _delimiter(lines):
        return "csv"
    return _form_without_names(lines, options)


def _form_without_names(lines: Sequence[str], options: FormatOptions) -> Form:
    """Returns the form of lines without names of columns."""
    if options.key_regex or _pattern(lines):
        return "log"
    if options.event or options.key or options.time:
        return "csv"
    words = [word for line in lines for word in line.split()]
    return "sequences" if len(set(words)) <= max(_FEW_EVENTS, _MANY_DISTINCT * len(words)) else "log"


def _share(lines: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, lines)) / len(lines) if lines else 0.0


def _is_object(line: str) -> bool:
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(line), dict)
    return False


def _is_logfmt(line: str) -> bool:
    """Whether a line consists of two or more pairs."""
    with suppress(ValueError):
        pairs = logfmt_pairs(line)
        return len(pairs) > 1 and sum(len(name) + len(value) + 1 for name, value in pairs.items()) >= (
            _SHARE * (len(line) - line.count('"') - line.count(" "))
        )
    return False


def _delimiter(lines: Sequence[str]) -> str | None:
    """Returns the character between columns, if the first row names columns that nearly all rows have."""
    for delimiter in _DELIMITERS if lines else "":
        if delimiter == " " and not lines[0].startswith("#"):
            continue  # words, and not columns
        table = CsvRows((MESSAGE,), delimiter)
        rows = list(_csv_rows(lines, table))
        names = table.columns or []
        if len(names) < 2 or len(set(names)) < len(names) or not all(map(_is_name, names)):
            continue
        shown = sum(not line.startswith("#") for line in lines)
        joined = sum(text.count("\n") for row in rows for text in row.values())
        is_header = not any(row[name] == name for row in rows for name in names)
        if rows and is_header and len(rows) + joined >= _NEARLY_ALL * (shown - 1):
            return delimiter
    return None


def _is_name(cell: str) -> bool:
    return bool(re.fullmatch(r"[^\W\d][\w .:()/@-]{0,60}", cell)) and not is_time(cell)


def _pattern(lines: Sequence[str]) -> str | None:
    """Returns the pattern of log lines: that of a standard, or what they share."""
    for known in _KNOWN:
        pattern = LinePattern(known)
        if sum(pattern.fields(line) is not None for line in lines) >= _SHARE * len(lines) > 0:
            return known
    return find_pattern(lines)


def _contents(container: Container, lines: Iterable[str]) -> list[str]:
    reader, found = ContainerLines(container), list[str]()
    for line in lines:
        with suppress(ValueError):
            if part := reader.add(line):
                found.append(part.content)
    return found


def _rows(lines: Sequence[str], source: InputFormat) -> Iterator[dict[str, Any]]:
    """Yields the columns of the records."""
    if source.form == "csv":
        yield from _csv_rows(lines, CsvRows((MESSAGE,), source.delimiter))
        return
    for line in lines:
        with suppress(ValueError, RecursionError):
            values = json.loads(line) if source.form == "jsonl" else logfmt_pairs(line)
            if isinstance(values, dict):
                yield _flat(values)


def _csv_rows(lines: Sequence[str], table: CsvRows) -> Iterator[dict[str, Any]]:
    rows = [text for i, line in enumerate(lines) for _, text in table.add_line(i, line)]
    for row in [*rows, *(text for _, text in table.finish())]:
        with suppress(ValueError):
            if cells := table.cells(row):
                yield cells


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of an object and of the objects within it, as a.b."""
    found: dict[str, Any] = {}
    waiting = [("", values)]
    while waiting:
        before, inner = waiting.pop()
        for name, value in inner.items():
            if isinstance(value, dict) and value:
                waiting.append((f"{before}{name}.", value))
            else:
                found[before + name] = value
    return found


def _column_format(
    source: InputFormat, rows: Sequence[dict[str, Any]], options: FormatOptions, container: Container | None
) -> InputFormat:
    """Returns the format of lines with columns."""
    columns = SampledColumns(rows)
    columns.check({options.key, options.time, *options.event, *options.measures})
    time = options.time or columns.time()
    event = options.event
    if not event:
        level = columns.level()
        message = columns.message({time, level, options.key})
        event = tuple(name for name in (level, message) if name)
        if message is None or not columns.is_text(message):
            event = columns.request() or event
        event += columns.codes({time, options.key, *event, *options.measures}) if event else ()
    if not event:
        raise InputError(
            f"expected a column with events, found {', '.join(columns.values) or 'no columns'}",
            hint="name it with --event NAME",
        )
    found = replace(
        source,
        key=options.key,
        event=event,
        time=time,
        key_regex=options.key_regex,
        text=tuple(name for name in event if columns.is_text(name) or name in columns.request()[1:2]),
        container=container,
        lenient=True,
    )
    if not (found.key or found.key_regex):
        found = _with_key(found, columns, [])
    measures = options.measures or columns.measures({found.time, found.key, *found.event})
    return replace(found, measures=measures)


def _log_format(lines: Sequence[str], options: FormatOptions, container: Container | None) -> InputFormat:
    """Returns the format of log lines."""
    pattern = _pattern(lines) if options.symbols == "templates" else None
    if pattern is None:
        source = InputFormat(
            "log",
            options.key,
            options.event,
            options.time,
            options.key_regex,
            options.symbols,
            options.delimiter or ",",
            container=container,
            lenient=options.key_regex is None and options.symbols == "templates",
            measures=options.measures,
        )
        if not source.lenient:
            return source
        return _with_key(source, SampledColumns([{MESSAGE: line} for line in lines]), lines)
    splitter = LinePattern(pattern)
    matching = [(fields, line) for line in lines if (fields := splitter.fields(line)) is not None]
    columns = SampledColumns([fields for fields, _ in matching])
    found = tuple(name for name in ("level", "source") if columns.is_closed(name))
    event = options.event or _KNOWN.get(pattern) or (*found, MESSAGE)
    source = InputFormat(
        "log",
        options.key,
        event,
        options.time or columns.header_time(),
        options.key_regex,
        text=tuple(name for name in event if name in (MESSAGE, "path")),
        pattern=pattern,
        container=container,
        lenient=options.key_regex is None,
        measures=options.measures or tuple(set(columns.measures(())) & _MEASURES),
    )
    if source.key or source.key_regex:
        return source
    return _with_key(source, columns, [line for _, line in matching])


def _with_key(source: InputFormat, columns: SampledColumns, lines: Sequence[str]) -> InputFormat:
    """Returns the format with the key that makes its events most predictable, if any."""
    texts = [value for name in source.text or source.event or (MESSAGE,) for value in columns.known(name)]
    templates = Templates.mine(texts) if source.has_templates else None
    names = source.event or (MESSAGE,)
    events = [
        " ".join(
            templates.event(value) if templates and (name in source.text or not source.event) else value
            for name in names
            if (value := columns.values[name][place]) is not None
        )
        for place in range(columns.count)
    ]
    used = {source.time, *names}
    others = {
        name: values
        for name, values in columns.values.items()
        if name not in used and not name.startswith("time")
    }
    key = find_key(events, others, lines)
    if key is None and not lines and source.text:
        found = [
            [columns.values[name][place] or "" for name in source.text] for place in range(columns.count)
        ]
        key = find_key(events, {}, [" ".join(parts) for parts in found])
    return replace(source, key=key.column, key_regex=key.pattern) if key else source
