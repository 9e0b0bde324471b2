"""What a user says of a source: the form of its lines, and where in them keys, events and times stand."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from onward.errors import InputError

Form = Literal["sequences", "csv", "jsonl", "log"]
LogSymbols = Literal["templates", "words", "bytes"]


@dataclass(frozen=True)
class InputFormat:
    """How records are read.

    Attributes:
        form: of the lines.
        key: the column of the key; without one all records are of one sequence.
        event: the columns whose values, joined, are the event.
        time: the column of the time.
        key_regex: finds the key in a log line: its first group, or all that it matches. Lines without it are
            each a sequence of their own.
        symbols: what the events of a log line are.
        delimiter: between the columns of a CSV line.
    """

    form: Form = "sequences"
    key: str | None = None
    event: tuple[str, ...] = ()
    time: str | None = None
    key_regex: str | None = None
    symbols: LogSymbols = "templates"
    delimiter: str = ","

    def __post_init__(self) -> None:
        """Refuses what cannot be read, and what would be ignored."""
        if self.form not in get_args(Form) or self.symbols not in get_args(LogSymbols):
            raise InputError(
                f"there is no form {self.form!r} with symbols {self.symbols!r}",
                hint=f"forms are {', '.join(get_args(Form))}, symbols {', '.join(get_args(LogSymbols))}",
            )
        if self.form in ("csv", "jsonl"):
            self._check_columns()
        else:
            self._check_no_columns()
        if self.form != "log" and self.symbols != "templates":
            raise InputError(
                f"{self.symbols} are of raw log lines alone", hint="--log says that these are some"
            )
        if self.key_regex is not None:
            self._check_key_regex(self.key_regex)

    def _check_columns(self) -> None:
        if not self.event:
            raise InputError(
                f"expected the column of the event in {self.form} lines, got none", hint="--event NAME"
            )
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise InputError(
                f"expected one character between columns, got {self.delimiter!r}",
                hint="--delimiter takes one, such as ';', or the word tab",
            )
        if self.form == "jsonl" and self.delimiter != ",":
            raise InputError("JSON lines have no delimiter between columns", hint="leave out --delimiter")

    def _check_no_columns(self) -> None:
        given = [name for name in ("key", "event", "time") if getattr(self, name)]
        given += ["delimiter"] if self.delimiter != "," else []
        if given:
            kind = "raw log lines" if self.form == "log" else "lines that are a sequence each"
            raise InputError(
                f"{kind} have no columns, got {', '.join(given)}",
                hint="CSV and JSON lines need --event NAME; raw log lines are grouped by --key-regex",
            )

    def _check_key_regex(self, pattern: str) -> None:
        if self.form != "log" or self.symbols != "templates":
            raise InputError(
                "a key is looked for in log lines whose events are templates alone",
                hint="leave out --key-regex, or --symbols",
            )
        try:
            re.compile(pattern)
        except re.error as error:
            raise InputError(f"expected a regular expression, got {pattern!r}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """The source as plain values."""
        return asdict(self) | {"event": list(self.event)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "InputFormat":
        """The source that `to_json` wrote."""
        return replace(cls(), **(data | {"event": tuple(data["event"])}))


def detect_format(names: Iterable[str], *, log: bool, columns: bool) -> Form:
    """The form of sources by what a user says of them, and by how the first is named.

    Raises:
        InputError: raw lines that have columns.
    """
    if log and columns:
        raise InputError("raw log lines have no columns", hint="leave out --log, or --event")
    if log or not columns:
        return "log" if log else "sequences"
    name = next(iter(names), "").removesuffix(".gz")
    return "jsonl" if name.endswith((".jsonl", ".json", ".ndjson")) else "csv"
