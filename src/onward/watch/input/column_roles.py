"""Finds what the columns of records are: the time, the level, and the message or the name of an event.

It follows from the values of a sample: a time is what parses as one, a level has a level's names, and a
message is what has most words. Names of columns only decide between several that qualify.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from onward.errors import InputError
from onward.printable import shown
from onward.watch.input.line_pattern import LEVELS
from onward.watch.input.log_templates import is_closed
from onward.watch.input.masks import MASK, mask_line
from onward.watch.input.number_statistics import FEWEST, Values
from onward.watch.input.numbers import number_of
from onward.watch.input.parsers import text_of_column
from onward.watch.input.times import parse_time

_SHARE, _NEARLY_ALL = 0.9, 0.95
_MESSAGE_WORDS = 2
"""The least mean number of words of a message."""

_LEVEL = re.compile(LEVELS, re.IGNORECASE)
_DATE_DIGITS = 8
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_EPOCH = re.compile(r"1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?")
_TIME_NAMES = re.compile(r"(?i)time|date|^ts$|^when$|^at$|^t$")
_EVENT_NAMES = re.compile(
    r"(?i)^(?:.*[._])?(?:event|action|activity|msg|message|text|log|operation|command)$"
)
_ID_NAMES = re.compile(
    r"(?i:(?:^|[^a-z])[a-z]?(?:id|port|line|lineno|seq|sequence|offset|index|version|year|key)$)|I[Dd]$"
)
_CODE_NAMES = re.compile(r"(?i)(?:status|code|level|severity|exit|rc|errno)$")
_REQUEST_NAMES = tuple(
    re.compile(rf"(?i)(?:^|[^a-z])(?:{name})$")
    for name in ("method|verb", "path|uri|url|stem|route", "status|code")
)


class SampledColumns:
    """The values of the columns of a sample, as text.

    Args:
        rows: the values of each record by column.

    Attributes:
        count: number of records.
        values: values of each column, for each record; None where a record lacks it.
    """

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
        """Returns the values of a column that are there."""
        return [value for value in self.values.get(name, ()) if value is not None]

    def share(self, name: str, test: Callable[[str], object]) -> float:
        """Returns the share of the records in which a column passes a test."""
        return sum(bool(test(value)) for value in self.known(name)) / max(1, self.count)

    def time(self) -> str | None:
        """Returns the column of the time, one with a name of a time if there is one."""
        found = [name for name in self.values if self.share(name, is_time) >= _NEARLY_ALL]
        return min(found, key=lambda name: not _TIME_NAMES.search(name), default=None)

    def level(self) -> str | None:
        """Returns the column of the level."""
        return next((n for n in self.values if self.share(n, _LEVEL.fullmatch) >= _SHARE), None)

    def header_time(self) -> str | None:
        """Returns the most precise time among the fields of a header."""
        found = [n for n in self.values if n.startswith("time") and self.share(n, is_time) >= _SHARE]
        return max(found, key=lambda name: len(set(self.known(name))), default=None)

    def is_closed(self, name: str) -> bool:
        """Whether nearly all records have a value of a closed set."""
        return self.share(name, bool) >= _SHARE and is_closed(Counter(self.known(name)))

    def message(self, others: Iterable[str | None]) -> str | None:
        """Returns the column with most words, or else the one that names events, or else any that recurs."""
        names = [name for name in self.values if name not in others and self.known(name)]
        words = {name: sum(map(_word_count, self.known(name))) / self.count for name in names}
        texts = [name for name in names if words[name] >= _MESSAGE_WORDS and self.share(name, bool) >= 0.5]
        named = [name for name in names if _EVENT_NAMES.match(name)]
        if chosen := [name for name in texts if name in named] or texts or named:
            return max(chosen, key=lambda name: words[name])
        recurring = [n for n in names if len(set(self.known(n))) > 1 and is_closed(Counter(self.known(n)))]
        return max(recurring, key=lambda name: len(set(self.known(name))), default=None)

    def request(self) -> tuple[str, ...]:
        """Returns the columns of a web request: its method, path and status; () if one is missing."""
        found = [next((n for n in self.values if named.search(n)), None) for named in _REQUEST_NAMES]
        return tuple(name for name in found if name) if all(found) else ()

    def codes(self, others: Iterable[str | None]) -> tuple[str, ...]:
        """Returns the columns with codes, such as a status: whole numbers with few values that recur."""
        return tuple(
            name
            for name in self._numeric(others)
            if len(self.known(name)) >= FEWEST
            and self._values(name).is_code(is_named_code=bool(_CODE_NAMES.search(name)))
        )

    def measures(self, others: Iterable[str | None]) -> tuple[str, ...]:
        """Returns the columns with measures, such as a duration: numbers that vary without a trend."""
        return tuple(name for name in self._numeric(others) if self._values(name).is_measure())

    def _numeric(self, others: Iterable[str | None]) -> list[str]:
        """Returns the columns with numbers whose names are not those of ids and times."""
        excluded = set(others)
        return [
            name
            for name in self.values
            if name not in excluded
            and not (_ID_NAMES.search(name) or _TIME_NAMES.search(name))
            and all(number_of(value) is not None for value in self.known(name))
        ]

    def _values(self, name: str) -> Values:
        values = Values()
        for value in self.known(name):
            values.add(value)
        return values

    def is_text(self, name: str) -> bool:
        """Whether the values of a column are free text: words that are not always the same."""
        distinct = Counter(self.known(name))
        return 2 * sum(_word_count(value) > 1 for value in distinct) > len(distinct) and not (
            is_closed(distinct) and not any(MASK in mask_line(value) for value in distinct)
        )


def _word_count(text: str) -> int:
    return len(text.split())


def is_time(text: str) -> bool:
    """Whether a text is a time with a clock, or a number that may be one of the years 2001 to 2033."""
    if _NUMBER.fullmatch(text):
        return bool(_EPOCH.fullmatch(text))
    if ":" not in text and sum(map(str.isdigit, text)) <= _DATE_DIGITS:
        return False  # a date alone does not order records
    with suppress(ValueError):
        parse_time(text)
        return True
    return False
