"""Learns which numbers of an event are codes and which are measures (see `numbers`), from many lines.

A code has few values, all of which recur: each follows another value often. A number that stays the same for
long and then changes is a state or a setting, whose next value is not known. Numbers of workers are in a row.

A measure is a number that varies and has no trend: new maxima are as rare as among exchangeable values, where
the k-th value is one with probability 1/k. Counters, ids and times set new maxima all the time. The bound of
a measure follows from the upper tenth of its values: a generalised Pareto tail, never lighter than a power
law, continues them to the value that a share `_BEYOND` of normal values exceeds, and to twice the largest
value at least. Values are counted in buckets of equal relative width, so memory is bounded.

Unlike the templates, the rules depend on the order of lines: only order tells a counter from a measure.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable

from onward.stored import LARGEST
from onward.watch.input.log_templates import Templates
from onward.watch.input.masks import MASK, split_line
from onward.watch.input.numbers import (
    LONGEST_CODE,
    MOST_CODES,
    MOST_KINDS,
    MOST_PLACES,
    Code,
    Measure,
    Numbers,
    Rule,
    number_of,
)

FEWEST = 100
"""Fewest values to learn a rule from."""

_PRESENT = 0.9
"""Share of the events of a kind that have a number at a place for which there is a rule."""

_FREQUENT = 5
"""A value recurs if it follows another one this often."""

_RARE_SHARE = 0.001
"""Share of the lines that may have a value which does not recur."""

_LINES_PER_CODE = 30
"""Least mean number of lines with each value of a code."""

_WIDTH = math.log(1.05)
"""Logarithm of the relative width of a bucket."""

_BUCKETS = 1000
_LEAST_BUCKETS = 5
"""Number of buckets that a measure has values in, at least."""

_TAIL = 0.1
"""Share of the values that the tail is fitted to."""

_BEYOND = 1e-5
"""Share of normal values that are expected above a bound."""

_SHAPES = 0.25, 1.5
"""Least and largest shape of the tail."""

_CODE_NAMES = re.compile(
    r"(?i)(?:status|code|exit(?:ed)?|respon\w+|return(?:ed)?|rc|errno|level)\W{0,3}(?:with )?$"
)
_ID_NAMES = re.compile(
    r"(?i)(?:\b(?:user|id|port|line|session|job|task|thread|worker|stage|block|key|no|version|index|seq)"
    r"|[a-z]id)\W{0,3}$"
)
"""Words before a code, and before a number that is an id, though it looks like a measure."""

_MANY = 1000
"""From this number of values on, the usual value is their 99.9 % quantile instead of the 99 % one."""

_CACHED_LINES = 1 << 16


class NumberMiner:
    """Collects the numbers of lines. A parser may have it in the place of templates.

    Args:
        templates: the templates of the lines.
    """

    def __init__(self, templates: Templates) -> None:
        self._templates, self._known = templates, frozenset(templates.texts)
        self._cache: dict[tuple[str, int], tuple[str, list[tuple[str, int]]]] = {}
        self._statistics = NumberStatistics()

    def kind_and_event(self, line: str) -> tuple[str, str]:
        """Adds a line, and returns its template in place of both."""
        template = self.event(line)
        return template, template

    def event(self, line: str) -> str:
        """Adds a line, and returns its template."""
        parts = split_line(line)
        content = MASK.join(parts[::2])
        key = content, len(parts)  # a line may contain masks itself
        kind = self._cache.get(key)
        if kind is None:
            template, placed = self._templates.placed(content, parts)
            kind = template, [(number.place, number.part) for number in placed]
            if len(self._cache) >= _CACHED_LINES:
                self._cache.clear()
            self._cache[key] = kind
        template, places = kind
        if template in self._known:
            self._statistics.add(template, ((place, parts[part]) for place, part in places))
        return template

    def numbers(self) -> Numbers:
        """Returns the rules that were learned."""
        return self._statistics.numbers()


class NumberStatistics:
    """Collects the values at the places of events.

    Args:
        has_codes: whether a number may be a code.
    """

    def __init__(self, *, has_codes: bool = True) -> None:
        self._has_codes = has_codes
        self._counts: Counter[str] = Counter()
        self._places: dict[str, dict[str, Values]] = {}

    def suffix(self, kind: str, values: Iterable[tuple[str, str]]) -> str:
        """Adds the values of an event, and returns no suffix of its name."""
        self.add(kind, values)
        return ""

    def add(self, event: str, values: Iterable[tuple[str, str]]) -> None:
        """Adds the values of an event, each with its place."""
        self._counts[event] += 1
        places = self._places.get(event)
        if places is None:
            places = self._places[event] = {}
        for place, text in values:
            found = places.get(place)
            if found is None:
                if len(places) == MOST_PLACES:
                    continue
                found = places[place] = Values(self._has_codes and " " not in place)
            found.add(text)

    def _name(self, event: str, place: str) -> str:
        """Returns what precedes a number in a template; "" if it is in a column."""
        number = re.match(r"\d+", place) if self._has_codes else None
        return event.split(MASK)[int(number[0]) - 1] if number else ""

    def numbers(self) -> Numbers:
        """Returns the rules, those of the most frequent events if there are too many."""
        found: dict[str, dict[str, Rule]] = {}
        for event, count in sorted(self._counts.items(), key=lambda each: (-each[1], each[0])):
            rules = {
                place: rule
                for place, values in sorted(self._places[event].items())
                if values.count >= max(FEWEST, _PRESENT * count)
                and (rule := values.rule(self._name(event, place)))
            }
            if rules and len(found) < MOST_KINDS:
                found[event] = rules
        return dict(sorted(found.items()))


class Values:
    """The values at one place.

    Args:
        may_be_code: whether they may be a code.

    Attributes:
        count: number of the values.
    """

    def __init__(self, may_be_code: bool = True) -> None:
        self.count = 0
        self._codes: Counter[str] | None = Counter() if may_be_code else None
        self._runs: Counter[str] = Counter()  # how often a value follows another one
        self._last = ""
        self._largest, self._maxima = -1.0, 0
        self._others = 0  # values that are not numbers
        self._buckets: dict[int, list[float]] = {}  # for each the count and the largest value

    def add(self, text: str) -> None:
        self.count += 1
        if self._codes is not None:
            self._codes[text] += 1
            if text != self._last:
                self._runs[text] += 1
                self._last = text
            if len(self._codes) > MOST_CODES or not text.isdecimal() or len(text) > LONGEST_CODE:
                self._codes = None
        value = number_of(text)
        if value is None or not 0 <= value <= LARGEST:
            self._others += 1
            return
        if value > self._largest:
            self._largest, self._maxima = value, self._maxima + 1
        place = int(math.log(value) / _WIDTH) if value > 1e-12 else -_BUCKETS
        bucket = self._buckets.get(place)
        if bucket is None:
            self._buckets[place] = [1, value]
        else:
            bucket[0] += 1
            bucket[1] = max(bucket[1], value)

    def rule(self, name: str = "") -> Rule | None:
        """Returns what the values are; None if they are neither a code nor a measure.

        Args:
            name: the text before them.
        """
        if self.is_code(is_named_code=bool(_CODE_NAMES.search(name))):
            return Code(tuple(sorted(self._codes or ())))
        return self._measure() if self.is_measure() and not _ID_NAMES.search(name) else None

    def is_code(self, *, is_named_code: bool) -> bool:
        """Whether the values are a code. A value that is always the same needs the word for it."""
        codes = self._codes
        return bool(codes) and (_is_code(codes, self._runs) or (is_named_code and len(codes) == 1))

    def is_measure(self) -> bool:
        """Whether the values are numbers that vary without a trend."""
        expected = math.log(max(1, self.count))
        has_trend = self._maxima > expected + 3 * math.sqrt(expected) + 1
        return not self._others and not has_trend and len(self._buckets) >= _LEAST_BUCKETS

    def _measure(self) -> Measure:
        start = self._quantile(_TAIL)
        middle = self._quantile(_TAIL / 2)
        logs = sum(n * math.log(v / start) for n, v in self._buckets.values() if v > start > 0)
        above = sum(n for n, v in self._buckets.values() if v > start)
        shape = min(max(logs / above if above else 0.0, _SHAPES[0]), _SHAPES[1])
        scale = max(middle - start, 0.0) / (2**shape - 1)
        bound = max(2 * self._largest, start + scale * ((_TAIL / _BEYOND) ** shape - 1))
        share = 0.001 if self.count >= _MANY else 0.01
        return Measure(min(_rounded_up(bound), LARGEST), self._quantile(share), 100 * (1 - share))

    def _quantile(self, share: float) -> float:
        """Returns the value that at most this share of the values exceed."""
        left = share * self.count
        for place in sorted(self._buckets, reverse=True):
            count, largest = self._buckets[place]
            if count > left:
                return largest
            left -= count
        return 0.0


def _is_code(counts: Counter[str], runs: Counter[str]) -> bool:
    """Whether numbers are a code: few values that recur often, and no row of numbers.

    Args:
        counts: how often each value occurs.
        runs: how often each follows another one.
    """
    total, values = counts.total(), sorted(map(int, counts))
    rare = sum(count for value, count in counts.items() if runs[value] < _FREQUENT)
    is_row = len(values) > 2 and values[-1] - values[0] < 2 * len(values)
    return 1 < len(counts) <= total // _LINES_PER_CODE and rare <= _RARE_SHARE * total and not is_row


def _rounded_up(value: float) -> float:
    """Returns a value that is rounded up to two digits."""
    digits = 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1.0
    return float(f"{math.ceil(value / digits) * digits:.6g}")
