"""The input format: the kind of lines in a source, and the parts of a line that are its key, event and time.

    sequences   one sequence per line, its events separated by white space
    csv         columns, by the names in the first row
    jsonl       one JSON object per line, columns by the names of its fields
    log         raw log lines

This file checks, detects, describes and stores formats; `parsers` reads lines by a format.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from pydantic import field_validator, model_validator

from onward.checks import checked_dataclass
from onward.errors import InputError
from onward.printable import shown_value
from onward.watch.input.key_pattern import KeyPattern

Form = Literal["sequences", "csv", "jsonl", "log"]
LogSymbols = Literal["templates", "words", "bytes"]

COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
"""File name suffixes of the compression formats that can be read."""

_JSON_LINES = (".jsonl", ".json", ".ndjson")
_TAB = ("tab", "\\t")
"""Spellings of a tab that a shell passes on unchanged."""

_OTHER_OPTIONS: dict[Form, str] = {
    "sequences": "use --event NAME for columns, or --log for raw log lines",
    "csv": "use --event, --key and --time for other columns, or --form jsonl for JSON lines",
    "jsonl": "use --event, --key and --time for other columns, or --form csv for CSV",
    "log": "use --key-regex for the pattern that groups lines; without it each line is a sequence",
}


@checked_dataclass(InputError)
class InputFormat:
    """How lines become records.

    Attributes:
        form: kind of lines.
        key: column of the key; None: all records belong to one sequence.
        event: columns whose values, joined by a space, are the event.
        time: column of the time.
        key_regex: pattern that finds the key in a log line (see `KeyPattern`): its first group, or the whole
            match if it has no group. Lines without a match are unreadable. None: each line is a sequence.
        symbols: kind of the events of a log line.
        delimiter: character between the columns of a CSV row; "tab" and a backslash with a t mean a tab.
    """

    form: Form = "sequences"
    key: str | None = None
    event: tuple[str, ...] = ()
    time: str | None = None
    key_regex: str | None = None
    symbols: LogSymbols = "templates"
    delimiter: str = ","

    @field_validator("delimiter")
    @classmethod
    def _read_tab(cls, text: str) -> str:
        return "\t" if text in _TAB else text

    @model_validator(mode="after")
    def _check_options(self) -> "InputFormat":
        """Refuses values that cannot be used together, or that would be ignored."""
        if self.form in ("csv", "jsonl"):
            self._check_columns()
        else:
            self._check_no_columns()
        if self.form != "log" and self.symbols != "templates":
            raise InputError(
                f"--symbols {self.symbols} is only for raw log lines", hint="add --log if the lines are raw"
            )
        if self.key_regex is not None:
            self._check_key_regex(self.key_regex)
        return self

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
        if self.form == "jsonl" and self.delimiter != ",":
            raise InputError("JSON lines have no delimiter between columns", hint="leave out --delimiter")

    def _check_no_columns(self) -> None:
        given = [name for name in ("key", "event", "time") if getattr(self, name)]
        given += ["delimiter"] if self.delimiter != "," else []
        if given:
            kind = "raw log lines" if self.form == "log" else "sources with one sequence per line"
            raise InputError(
                f"{kind} have no columns, got {', '.join(given)}",
                hint="CSV and JSON lines need --event NAME; --key-regex groups raw log lines",
            )

    def _check_key_regex(self, pattern: str) -> None:
        if self.form != "log" or self.symbols != "templates":
            raise InputError(
                "--key-regex is only for raw log lines whose events are templates",
                hint="leave out --key-regex, or --symbols",
            )
        KeyPattern(pattern)  # raises the error of a wrong one

    def describe(self) -> str:
        """Returns the format in words, such as "CSV with the columns host, message"."""
        names = dict.fromkeys(name for name in (self.key, *self.event, self.time) if name)
        columns = f"with the columns {', '.join(names)}"
        match self.form:
            case "sequences":
                return "one sequence per line"
            case "csv":
                return f"CSV {columns}"
            case "jsonl":
                return f"JSON lines {columns}"
            case "log":
                return f"log lines that contain {self.key_regex}" if self.key_regex else "log lines"

    @property
    def other_options(self) -> str:
        """Hint for a source in which this format finds no record: the options to try."""
        return f"the source was read as {self.describe()}; {_OTHER_OPTIONS[self.form]}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"event": list(self.event)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "InputFormat":
        """Returns the format that `to_json` wrote.

        Raises:
            InputError: the data is not an input format.
        """
        try:
            return cls(**{**data, "event": tuple(data["event"])})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"expected an input format, got {shown_value(data)}", hint="learn the detector again"
            ) from error


def detect_format(names: Iterable[str], *, log: bool, columns: bool) -> Form:
    """Returns the form of sources, which follows from the options and from the name of the first source.

    Args:
        names: the sources.
        log: whether `--log` was given.
        columns: whether `--event` was given.

    Raises:
        InputError: raw log lines with columns.
    """
    if log and columns:
        raise InputError("raw log lines have no columns", hint="leave out --log, or --event")
    if log or not columns:
        return "log" if log else "sequences"
    name = next(iter(names), "")
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return "jsonl" if name.endswith(_JSON_LINES) else "csv"
