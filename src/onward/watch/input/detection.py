"""Finds the input format of a source by a sample of its lines.

The form follows from what nearly all lines share. The columns follow from their values: a time is what parses
as one, a level has a level's names, and a message is what has most words. A key is what makes the events most
predictable: the events that follow each other within a key are coded in fewer bits.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from onward.errors import InputError
from onward.printable import shown
from onward.watch.input.containers import ContainerLines, container_of
from onward.watch.input.csv_rows import CsvRows
from onward.watch.input.format import COMPRESSED, Container, Form, InputFormat, LogSymbols
from onward.watch.input.line_pattern import LEVELS, MESSAGE, LinePattern, find_pattern
from onward.watch.input.lines import decode_line
from onward.watch.input.log_templates import MASK, Templates, is_closed, mask_line
from onward.watch.input.parsers import logfmt_pairs, text_of_column
from onward.watch.input.sequence_key import find_key
from onward.watch.input.times import parse_time

SAMPLED_LINES = 1000

_LONGEST = 1 << 16
"""Characters of a line to use."""

_SHARE = 0.9
_NEARLY_ALL = 0.95
_FEW_EVENTS, _MANY_DISTINCT = 20, 0.1
"""Lines are sequences of events if up to this number of words, or up to this share of all, are distinct."""

_JSON_LINES = (".jsonl", ".json", ".ndjson")
_DELIMITERS = ",;\t| "
_LEVEL = re.compile(LEVELS, re.IGNORECASE)
_DATE_DIGITS = 8
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_EPOCH = re.compile(r"1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?")
_TIME_NAMES = re.compile(r"(?i)time|date|^ts$|^when$|^at$|^t$")
_EVENT_NAMES = re.compile(
    r"(?i)^(?:.*[._])?(?:event|action|activity|msg|message|text|log|operation|command)$"
)

_REQUEST_NAMES = tuple(
    re.compile(rf"(?i)(?:^|[^a-z])(?:{name})$")
    for name in ("method|verb", "path|uri|url|stem|route", "status|code")
)

_REQUEST = (
    r"^(?:(?P<site>\S+:\d+) )?(?P<client>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<method>[A-Z]+) (?P<path>[^ ?"]*)[^"]*" (?P<status>\d{3})(?P<message>.*)$'
)
"""A line of a web server: the common and the combined log format."""

_SYSLOG = (
    r"^<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<source>\S+) (?P<pid>\S+) (?P<id>\S+) "
    r"(?:-|(?P<data>(?:\[[^\]]*\])+)) ?(?P<message>.*)$"
)
"""A line of syslog by RFC 5424."""

_KNOWN = {_REQUEST: ("method", "path", "status"), _SYSLOG: ("source", MESSAGE)}
"""Patterns of standards, and the columns that are the event."""


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
    """

    form: Form | None = None
    key: str | None = None
    event: tuple[str, ...] = ()
    time: str | None = None
    key_regex: str | None = None
    symbols: LogSymbols = "templates"
    delimiter: str | None = None


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
        if options.delimiter:
            raise InputError(
                "sources with one sequence per line have no delimiter", hint="leave out --delimiter"
            )
        return InputFormat(form, options.key, options.event, options.time, options.key_regex)
    if form == "log":
        return _log_format(lines, options, container)
    delimiter = (options.delimiter or _delimiter(lines) or ",") if form == "csv" else options.delimiter or ","
    source = InputFormat(form, event=("?",), delimiter=delimiter)
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
    if options.event or options.key or options.time:
        return "log" if _pattern(lines) else "csv"
    if options.key_regex or _pattern(lines):
        return "log"
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
    """Returns the character between columns, if the first line names columns that nearly all rows have."""
    for delimiter in _DELIMITERS:
        table = CsvRows((MESSAGE,), delimiter)
        names: list[str] = []
        for line in lines:
            with suppress(ValueError):
                table.cells(line)
            if names := table.columns or []:
                break
        if len(names) < 2 or len(set(names)) < len(names) or not all(map(_is_name, names)):
            continue
        if delimiter == " " and not lines[0].startswith("#"):
            continue  # words, and not columns
        source = InputFormat("csv", event=("?",), delimiter=delimiter)
        count = _row_count(lines, delimiter)
        if count and len(list(_rows(lines, source))) >= _NEARLY_ALL * count:
            return delimiter
    return None


def _is_name(cell: str) -> bool:
    return bool(re.fullmatch(r"[^\W\d][\w .:()/@-]{0,60}", cell)) and not _is_time(cell)


def _row_count(lines: Sequence[str], delimiter: str) -> int:
    table = CsvRows((), delimiter)
    shown = [line for line in lines if not line.startswith("#")]
    return sum(len(table.add_line(i, line)) for i, line in enumerate(shown)) + len(table.finish()) - 1


def _pattern(lines: Sequence[str]) -> str | None:
    """Returns the pattern of log lines: that of a standard, or what they share."""
    for known in _KNOWN:
        pattern = LinePattern(known)
        if _share(lines, lambda line: pattern.fields(line) is not None) >= _SHARE:
            return known
    return find_pattern(lines)


def _contents(container: Container, lines: Iterable[str]) -> list[str]:
    reader = ContainerLines(container)
    return [found.content for line in lines if (found := reader.add(line))]


def _rows(lines: Sequence[str], source: InputFormat) -> Iterator[dict[str, Any]]:
    """Yields the columns of the records."""
    if source.form == "csv":
        table = CsvRows((MESSAGE,), source.delimiter)
        rows = [text for i, line in enumerate(lines) for _, text in table.add_line(i, line)]
        for row in [*rows, *(text for _, text in table.finish())]:
            with suppress(ValueError):
                if cells := table.cells(row):
                    yield cells
        return
    for line in lines:
        with suppress(ValueError, RecursionError):
            values = json.loads(line) if source.form == "jsonl" else logfmt_pairs(line)
            if isinstance(values, dict):
                yield _flat(values)


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


class _Columns:
    """The values of the columns of a sample, as text."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.count = len(rows)
        self.values: dict[str, list[str | None]] = {}
        for place, row in enumerate(rows):
            for name in row:
                with suppress(ValueError):
                    column = self.values.setdefault(name, [None] * len(rows))
                    column[place] = text_of_column(row, name)

    def check(self, names: Iterable[str | None]) -> None:
        """Raises InputError if a name is not one of a column, or of an object with columns."""
        for name in names:
            if name and not any(column == name or column.startswith(f"{name}.") for column in self.values):
                raise InputError(
                    f"no column {name!r} among {shown(', '.join(self.values))}",
                    hint="name columns of the source with --key, --event and --time",
                )

    def known(self, name: str) -> list[str]:
        return [value for value in self.values.get(name, ()) if value is not None]

    def share(self, name: str, test: Callable[[str], object]) -> float:
        """Returns the share of the records in which a column passes a test."""
        return sum(bool(test(value)) for value in self.known(name)) / max(1, self.count)

    def time(self) -> str | None:
        """Returns the column of the time, one with a name of a time if there is one."""
        found = [name for name in self.values if self.share(name, _is_time) >= _NEARLY_ALL]
        return min(found, key=lambda name: not _TIME_NAMES.search(name), default=None)

    def level(self) -> str | None:
        return next((n for n in self.values if self.share(n, _LEVEL.fullmatch) >= _SHARE), None)

    def message(self, others: Iterable[str | None]) -> str | None:
        """Returns the column with most words, or else the one that names events, or else any that recurs."""
        names = [name for name in self.values if name not in others and self.known(name)]
        words = {name: sum(map(_word_count, self.known(name))) / self.count for name in names}
        texts = [name for name in names if words[name] >= 2 and self.share(name, bool) >= 0.5]
        named = [name for name in names if _EVENT_NAMES.match(name)]
        if chosen := [name for name in texts if name in named] or texts or named:
            return max(chosen, key=lambda name: words[name])
        recurring = [n for n in names if len(set(self.known(n))) > 1 and is_closed(Counter(self.known(n)))]
        return max(recurring, key=lambda name: len(set(self.known(name))), default=None)

    def request(self) -> tuple[str, ...]:
        """Returns the columns of a web request: its method, path and status; () if one is missing."""
        found = [next((n for n in self.values if named.search(n)), None) for named in _REQUEST_NAMES]
        return tuple(name for name in found if name) if all(found) else ()

    def is_text(self, name: str) -> bool:
        """Whether the values of a column are free text: words that are not always the same."""
        distinct = Counter(self.known(name))
        return 2 * sum(_word_count(value) > 1 for value in distinct) > len(distinct) and not (
            is_closed(distinct) and not any(MASK in mask_line(value) for value in distinct)
        )


def _word_count(text: str) -> int:
    return len(text.split())


def _is_time(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return bool(_EPOCH.fullmatch(text))
    if ":" not in text and sum(map(str.isdigit, text)) <= _DATE_DIGITS:
        return False  # a date alone does not order records
    with suppress(ValueError):
        parse_time(text)
        return True
    return False


def _column_format(
    source: InputFormat, rows: Sequence[dict[str, Any]], options: FormatOptions, container: Container | None
) -> InputFormat:
    """Returns the format of lines with columns."""
    columns = _Columns(rows)
    columns.check({options.key, options.time, *options.event})
    time = options.time or columns.time()
    event = options.event
    if not event:
        level = columns.level()
        message = columns.message({time, level, options.key})
        event = tuple(name for name in (level, message) if name)
        if message is None or not columns.is_text(message):
            event = columns.request() or event
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
    return found if found.key or found.key_regex else _with_key(found, columns, [])


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
        )
        if not source.lenient:
            return source
        return _with_key(source, _Columns([{MESSAGE: line} for line in lines]), lines)
    splitter = LinePattern(pattern)
    matching = [(fields, line) for line in lines if (fields := splitter.fields(line)) is not None]
    columns = _Columns([fields for fields, _ in matching])
    event = (
        options.event
        or _KNOWN.get(pattern)
        or tuple(
            name
            for name in ("level", "source", MESSAGE)
            if name == MESSAGE
            or (columns.share(name, bool) >= _SHARE and is_closed(Counter(columns.known(name))))
        )
    )
    source = InputFormat(
        "log",
        options.key,
        event,
        options.time or _time_of(columns),
        options.key_regex,
        text=tuple(name for name in event if name in (MESSAGE, "path")),
        pattern=pattern,
        container=container,
        lenient=options.key_regex is None,
    )
    if source.key or source.key_regex:
        return source
    return _with_key(source, columns, [line for _, line in matching])


def _time_of(columns: _Columns) -> str | None:
    """Returns the most precise time of a header."""
    found = [
        name for name in columns.values if name.startswith("time") and columns.share(name, _is_time) >= _SHARE
    ]
    return max(found, key=lambda name: len(set(columns.known(name))), default=None)


def _with_key(source: InputFormat, columns: _Columns, lines: Sequence[str]) -> InputFormat:
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
