"""Parses the times of records: numbers, ISO 8601 and the formats of common logs.

Numbers, ISO 8601, Apache, RFC 2822, syslog and ctime are parsed here, in about ten microseconds or less. All
other formats go to dateutil, which takes about a hundred; its results are cached, because neighbouring lines
often have the same time.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_CLOCK = r"(\d\d):(\d\d):(\d\d(?:\.\d+)?)"
_DAY_FIRST = re.compile(
    rf"\[?(?:[A-Z][a-z]{{2}}, )?(\d{{1,2}})[ /]([A-Z][a-z]{{2}})[ /](\d{{4}})[ :]{_CLOCK}"
    r"(?: (?:([+-])(\d\d):?(\d\d)|GMT|UTC|Z))?\]?"
)
"""Apache access logs (01/Nov/2026:10:00:00 +0000), and RFC 2822 (Sun, 01 Nov 2026 10:00:00 +0000)."""

_MONTH_FIRST = re.compile(
    rf"\[?(?:[A-Z][a-z]{{2}} )?([A-Z][a-z]{{2}})  ?(\d{{1,2}}) {_CLOCK}(?: (\d{{4}}))?\]?"
)
"""Syslog, which has no year (Nov  1 10:00:00), ctime and Apache error logs (Sun Nov 01 10:00:00 2026)."""

_COMPACT = re.compile(r"(\d{2}|\d{4})(\d\d)(\d\d)[-T _]?(\d{1,2}):?(\d{1,2}):?(\d{1,2})(?:[:.,](\d+))?")
"""Digits only, or with a clock: 081109 203615, 20171223-22:15:29:606."""

_DOTTED = re.compile(r"(\d{4})-(\d\d)-(\d\d)[-T _](\d\d)\.(\d\d)\.(\d\d)(?:\.(\d+))?")
"""2005-06-03-15.42.50.675872."""

_NO_YEAR = re.compile(rf"(\d\d?)[-/.](\d\d?) {_CLOCK}")
"""Month and day: 03-17 16:13:38.811."""

_ZONES: dict[str | None, int] = {
    None: 0, "UT": 0, "GMT": 0, "UTC": 0, "Z": 0,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""Hours from UTC of the zones in RFC 2822, and of a time without a zone (None). Other names are ambiguous."""

_NAMED_OFFSET = re.compile(r"(?:UTC|GMT) ?[+-]\d")

_YEAR_FIRST = re.compile(r"\d{4}\D")
_ORDERS = (False, True), (False, False), (True, True), (True, False)
"""Whether the day comes before the month, and whether the year comes before both."""

_LONGEST = 100
_DEFAULTS = datetime(2001, 1, 1), datetime(2002, 2, 2)


def parse_time(text: str) -> float:
    """Returns a time in seconds since 1970.

    The size of a number gives its unit: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds,
    else nanoseconds. A time without a zone is UTC. A time without a year is the latest that is not in the
    future, with a day of tolerance.

    Raises:
        ValueError: the text is not a time.
    """
    try:
        return _from_number(float(text))
    except ValueError:
        pass
    stripped = text.strip()
    try:
        try:
            moment = datetime.fromisoformat(stripped)
        except ValueError:
            return _from_known_format(stripped)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise ValueError(f"expected a time, got {text[:40]!r}") from None


def _from_number(number: float) -> float:
    size = abs(number)
    if size < 1e11:
        return number
    if size < 1e14:
        return number / 1e3
    if size < 1e17:
        return number / 1e6
    if math.isfinite(number):
        return number / 1e9
    raise ValueError


def _from_known_format(text: str) -> float:
    if found := _DAY_FIRST.fullmatch(text):
        day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
        offset = int(f"{sign}1") * (int(hours) * 3600 + int(minutes) * 60) if sign else 0
        return _seconds(int(year), month, int(day), f"{hour}:{minute}:{second}") - offset
    if found := _MONTH_FIRST.fullmatch(text):
        month, day, hour, minute, second, year = found.groups()
        clock = f"{hour}:{minute}:{second}"
        if year:
            return _seconds(int(year), month, int(day), clock)
        return _latest(month, int(day), clock)
    return _from_numbers(text)


def _from_numbers(text: str) -> float:
    """Parses the formats without a name of a month."""
    if found := _NO_YEAR.fullmatch(text):
        month, day, *clock = found.groups()
        return _latest(_NAMES[int(month) - 1] if 0 < int(month) < 13 else "", int(day), ":".join(clock))
    if found := _COMPACT.fullmatch(text) or _DOTTED.fullmatch(text):
        year, month, day, hour, minute, second, fraction = found.groups()
        numbers = map(int, (month, day, hour, minute, second))
        whole = datetime(int(year) + 2000 * (len(year) == 2), *numbers, tzinfo=UTC)
        return whole.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)
    return _from_any_format(text)


def _seconds(year: int, month: str, day: int, clock: str) -> float:
    hour, minute, second = clock.split(":")
    whole, _, fraction = second.partition(".")
    moment = datetime(year, _month(month), day, int(hour), int(minute), int(whole), tzinfo=UTC)
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _month(name: str) -> int:
    if name not in _MONTHS:
        raise ValueError
    return _MONTHS[name]


def _latest(month: str, day: int, clock: str) -> float:
    """Returns the latest time with this month and day that is at most a day in the future."""
    limit = datetime.now(UTC) + timedelta(days=1)
    for year in range(limit.year, limit.year - 9, -1):  # the 29th of February may be eight years ago
        try:
            seconds = _seconds(year, month, day, clock)
        except ValueError:
            continue
        if seconds <= limit.timestamp():
            return seconds
    raise ValueError


@lru_cache(4096)
def _from_any_format(text: str) -> float:
    """Parses with dateutil, which completes a partial date: "May" becomes a day of this year.

    The text is parsed with two default dates: if the results differ, it lacks a part of the date. It is also
    parsed with each order of day, month and year: if the results differ, it is ambiguous, such as 05/11/2026.
    Both are refused. So is UTC+3, which means three hours east of Greenwich to most programs, and three hours
    west to dateutil.
    """
    from dateutil import parser  # noqa: PLC0415 - few sources need it

    if len(text) > _LONGEST or not any(map(str.isdigit, text)) or _NAMED_OFFSET.search(text):
        raise ValueError
    try:
        moments = {
            parser.parse(text, default=default, tzinfos=_offset, dayfirst=day_first, yearfirst=year_first)
            for default in _DEFAULTS
            for day_first, year_first in (_ORDERS[:1] if _YEAR_FIRST.match(text) else _ORDERS)
        }
    except Exception as error:  # for texts that it cannot parse, it raises errors of many kinds
        raise ValueError from error
    if len(moments) != 1:
        raise ValueError
    return moments.pop().timestamp()


def _offset(name: str | None, offset: int | None) -> int:
    """Returns the seconds from UTC of a zone as dateutil found it."""
    if offset is None:
        if name not in _ZONES:
            raise ValueError
        return 3600 * _ZONES[name]
    return offset
