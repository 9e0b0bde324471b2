"""The numbers of events: which of them are codes or measures, as learned (see `number_statistics`).

    code      a number with few values, such as a status or an exit code: each value makes an event of its own
    measure   a duration, a size, a count: a value above its bound makes an event of its own (see `excess`)

All other numbers vary freely: counters, ids, ports, dates. They are not part of an event.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from onward.stored import LARGEST, StoredModel, Text, checked
from onward.watch.input.excess import excess_suffix
from onward.watch.input.masks import MASK

MOST_CODES = 10
"""Maximum number of values of a code."""

LONGEST_CODE = 3
"""Maximum number of digits of a code. Ports, years and process ids have more."""

MOST_KINDS = 20_000
"""Maximum number of kinds of event with rules."""

MOST_PLACES = 16
"""Maximum number of places of an event whose numbers are looked at."""


_DECIMAL = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?(?:[eE][-+]\d{1,3})?")


class Code(NamedTuple):
    """A number with few values.

    Attributes:
        values: the values.
    """

    values: tuple[str, ...]

    def shown(self, text: str) -> str:
        """Returns what stands for a number in the name of an event.

        A number of more than `LONGEST_CODE` digits is a mask, so that the number of events is bounded.
        """
        return text if text.isdecimal() and len(text) <= LONGEST_CODE else MASK


class Measure(NamedTuple):
    """A number with a bound.

    Attributes:
        bound: values above it are not explained by those that were learned.
        usual: the value that `share` percent of the learned values do not exceed.
        share: this share, in percent.
    """

    bound: float
    usual: float
    share: float

    def suffix(self, what: str) -> str:
        """Returns the suffix of the names of events with a value above the bound."""
        return excess_suffix(what, *self)


Rule = Code | Measure
Numbers = Mapping[str, Mapping[str, Rule]]
"""The rules for each kind of event, by place: a column, or which number of a template (see `Placed`)."""


class ColumnNumbers:
    """Names the measures of records that are above their bounds.

    Args:
        numbers: the rules of each kind of event.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def suffix(self, kind: str, values: Iterable[tuple[str, str]]) -> str:
        """Returns the suffix of the name of an event with these columns and values; "" if none is above."""
        rules = self._numbers.get(kind, {})
        for column, text in values if rules else ():
            rule = rules.get(column)
            if isinstance(rule, Measure) and is_above(text, rule.bound):
                return rule.suffix(column)
        return ""


def number_of(text: str) -> float | None:
    """Returns the value of a whole number or a decimal; None if the text is neither, such as an address."""
    if text.isdecimal():
        return float(text)
    return float(text.replace(",", "")) if _DECIMAL.fullmatch(text) else None


def is_above(text: str, bound: float) -> bool:
    """Whether a text is a number above a bound."""
    value = number_of(text)
    return value is not None and value > bound


class _StoredCode(StoredModel):
    codes: Annotated[
        list[Annotated[str, Field(pattern=rf"^[0-9]{{1,{LONGEST_CODE}}}$")]],
        Field(min_length=1, max_length=MOST_CODES),
    ]


class _StoredMeasure(StoredModel):
    bound: Annotated[float, Field(ge=0, le=LARGEST)]
    usual: Annotated[float, Field(ge=0, le=LARGEST)]
    share: Annotated[float, Field(gt=0, le=100)]


StoredNumbers = Annotated[
    dict[Text, Annotated[dict[Text, _StoredCode | _StoredMeasure], Field(max_length=MOST_PLACES)]],
    Field(max_length=MOST_KINDS),
]
"""What `numbers_to_json` returns."""


def numbers_to_json(numbers: Numbers) -> dict[str, Any]:
    """Returns the rules as JSON values."""
    return {
        kind: {
            place: {"codes": list(rule.values)} if isinstance(rule, Code) else rule._asdict()
            for place, rule in rules.items()
        }
        for kind, rules in numbers.items()
    }


def numbers_from_json(data: Any) -> Numbers:
    """Returns the rules that `numbers_to_json` wrote.

    Raises:
        ValueError: the data is something else.
    """
    return {
        kind: {place: _rule(rule) for place, rule in rules.items()}
        for kind, rules in checked(StoredNumbers, data).items()
    }


def _rule(stored: _StoredCode | _StoredMeasure) -> Rule:
    if isinstance(stored, _StoredCode):
        return Code(tuple(stored.codes))
    return Measure(stored.bound, stored.usual, stored.share)
