"""The input format: the kind of lines in a source, and the parts of a line that are its key, event and time.

    sequences   one sequence per line, its events separated by white space
    csv         columns, by the names in the first row
    jsonl       one JSON object per line, columns by the names of its fields
    logfmt      name=value pairs, columns by their names
    log         raw log lines; with a pattern, columns by the names of its groups

This file checks, describes and stores formats; `detection` finds the format of a source, and `parsers` reads
lines by a format.
"""

from dataclasses import asdict
from typing import Any, Literal

from pydantic import field_validator, model_validator

from onward.checks import checked_dataclass
from onward.errors import InputError
from onward.printable import shown_value
from onward.watch.input.key_pattern import KeyPattern
from onward.watch.input.line_pattern import LinePattern

Form = Literal["sequences", "csv", "jsonl", "logfmt", "log"]
LogSymbols = Literal["templates", "words", "bytes"]
Container = Literal["cri", "docker"]

COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
"""File name suffixes of the compression formats that can be read."""

_TAB = ("tab", "\\t")
"""Spellings of a tab that a shell passes on unchanged."""

_NAMES: dict[Form, str] = {
    "sequences": "one sequence per line",
    "csv": "CSV",
    "jsonl": "JSON lines",
    "logfmt": "logfmt lines",
    "log": "log lines",
}
_CONTAINERS = {"cri": "a Kubernetes container log", "docker": "a Docker container log"}
_OTHER_OPTIONS: dict[Form, str] = {
    "sequences": "use --event NAME for columns, or --log for raw log lines",
    "csv": "use --event, --key and --time for other columns, or --form jsonl for JSON lines",
    "jsonl": "use --event, --key and --time for other columns, or --form csv for CSV",
    "logfmt": "use --event, --key and --time for other columns, or --log for raw log lines",
    "log": "use --key-regex for the pattern that groups lines; without it each line is a sequence",
}


@checked_dataclass(InputError)
class InputFormat:
    """How lines become records.

    Attributes:
        form: kind of lines.
        key: column of the key.
        event: columns whose values, joined by a space, are the event.
        time: column of the time.
        key_regex: pattern that finds the key in a line (see `KeyPattern`).
        symbols: kind of the events of a log line.
        delimiter: character between the columns of a CSV row; "tab" and a backslash with a t mean a tab.
        text: columns among `event` whose values are free text: their templates are part of the event.
        pattern: pattern that splits a log line into columns (see `LinePattern`). A line that does not match
            continues the record before it.
        measures: columns with durations, sizes or counts. A value far beyond those that were learned is an
            event of its own.
        container: kind of container log that the lines are wrapped in.
        lenient: whether a record without a key is a sequence of its own, and a wrong time is unknown.
            Otherwise both make a line unreadable, and without a key column all records are one sequence.
            Without a pattern, log lines are always sequences of their own if there is no `key_regex`.
    """

    form: Form = "sequences"
    key: str | None = None
    event: tuple[str, ...] = ()
    time: str | None = None
    key_regex: str | None = None
    symbols: LogSymbols = "templates"
    delimiter: str = ","
    text: tuple[str, ...] = ()
    pattern: str | None = None
    container: Container | None = None
    lenient: bool = False
    measures: tuple[str, ...] = ()

    @field_validator("delimiter")
    @classmethod
    def _read_tab(cls, text: str) -> str:
        return "\t" if text in _TAB else text

    @model_validator(mode="after")
    def _check_options(self) -> "InputFormat":
        """Refuses values that cannot be used together, or that would be ignored."""
        if self.has_columns:
            self._check_columns()
        else:
            self._check_no_columns()
        if self.form != "log" and self.symbols != "templates":
            raise InputError(
                f"--symbols {self.symbols} is only for raw log lines", hint="add --log if the lines are raw"
            )
        if self.key_regex is not None:
            self._check_key_regex(self.key_regex)
        if self.pattern is not None:
            self._check_pattern(self.pattern)
        if not set(self.text) <= set(self.event):
            raise InputError(f"expected columns with free text among {self.event}, got {self.text}")
        return self

    @property
    def has_columns(self) -> bool:
        """Whether records have columns."""
        return self.form in ("csv", "jsonl", "logfmt") or self.pattern is not None

    @property
    def has_templates(self) -> bool:
        """Whether templates are part of events."""
        if self.symbols != "templates":
            return False
        return bool(self.text) or (self.form == "log" and self.pattern is None)

    def _check_columns(self) -> None:
        if not self.event:
            raise InputError(
                f"expected the event column of {self.form} lines, got none", hint="name it with --event NAME"
            )
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise InputError(
                f"expected one character between columns, got {self.delimiter!r}",
                hint="--delimiter takes one character, such as ';', or the word tab",
            )
        if self.form != "csv" and self.delimiter != ",":
            raise InputError(
                f"{_NAMES[self.form]} have no delimiter between columns", hint="leave out --delimiter"
            )

    def _check_no_columns(self) -> None:
        given = [name for name in ("key", "event", "time") if getattr(self, name)]
        given += ["delimiter"] if self.delimiter != "," else []
        given += ["measure"] if self.measures else []
        if given:
            kind = "raw log lines" if self.form == "log" else "sources with one sequence per line"
            raise InputError(
                f"{kind} have no columns, got {', '.join(given)}",
                hint="CSV and JSON lines need --event NAME; --key-regex groups raw log lines",
            )

    def _check_key_regex(self, pattern: str) -> None:
        if self.form == "sequences" or self.symbols != "templates":
            raise InputError(
                "--key-regex is only for raw log lines whose events are templates",
                hint="leave out --key-regex, or --symbols",
            )
        if self.key:
            raise InputError("expected either a key column or a key pattern, got both", hint="leave one out")
        KeyPattern(pattern)  # raises the error of a wrong one

    def _check_pattern(self, pattern: str) -> None:
        if self.form != "log" or self.symbols != "templates":
            raise InputError("a line pattern is only for raw log lines whose events are templates")
        missing = {*self.event, *self.measures, self.key, self.time} - {None, *LinePattern(pattern).names}
        if missing:
            raise InputError(
                f"these log lines have the columns {', '.join(LinePattern(pattern).names)}, "
                f"got {', '.join(sorted(map(str, missing)))}",
                hint="name some of these columns with --key, --event, --time and --measure",
            )

    def describe(self) -> str:
        """Returns the format in words, such as "CSV with the columns host, message"."""
        found = _NAMES[self.form]
        names = dict.fromkeys(name for name in (self.key, *self.event, self.time) if name)
        if self.has_columns:
            found += f" with the columns {', '.join(names)}"
        if self.key_regex:
            found += f" that contain {self.key_regex}"
        return f"{found} in {_CONTAINERS[self.container]}" if self.container else found

    def explain(self, is_detected: bool) -> list[str]:
        """Returns up to three lines for a user: what the source, its events and its sequences are.

        Args:
            is_detected: whether no option was given, so that the options are worth naming.
        """
        form = _NAMES[self.form] + (f" in {_CONTAINERS[self.container]}" if self.container else "")
        found = [f"read as {form}"]
        if self.form == "sequences":
            return found
        if self.event:
            parts = [f"the template of {name}" if name in self.text else name for name in self.event]
            found[0] += f": an event is {', '.join(parts)}" + (
                f"; the time is in {self.time}" if self.time else ""
            )
        if self.key:
            found.append(f"a sequence is the records with the same {self.key}")
        elif self.key_regex:
            found.append(f"a sequence is the records with the same match of {self.key_regex}")
        elif self.lenient or self.form == "log":
            found.append("each record is a sequence of its own: no column or word groups them")
        if self.measures:
            found.append(f"measures: {', '.join(self.measures)}")
        if is_detected:
            found.append("--form, --log, --event, --key, --time, --key-regex and --measure correct this")
        return found

    @property
    def other_options(self) -> str:
        """Hint for a source in which this format finds no record: the options to try."""
        return f"the source was read as {self.describe()}; {_OTHER_OPTIONS[self.form]}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {name: list(getattr(self, name)) for name in ("event", "text", "measures")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "InputFormat":
        """Returns the format that `to_json` wrote.

        Raises:
            InputError: the data is not an input format.
        """
        try:
            tuples = {name: tuple(data.get(name, ())) for name in ("text", "measures")}
            return cls(**{**data, "event": tuple(data["event"]), **tuples})
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"expected an input format, got {shown_value(data)}", hint="learn the detector again"
            ) from error
