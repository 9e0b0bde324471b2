"""Names for events with a measure above its bound, and their explanation in words.

The name is that of the event with a suffix that says which measure, its bound, and what is usual:

    responded 200 in <*> ms [in <*> ms above 530; 99.9 % at most 89]

It does not hold the value, so that repeats have the same name.
"""

import re

from onward.watch.input.masks import MASK

_SUFFIX = re.compile(
    r" \[(?P<what>[^\[\]]+) above (?P<bound>[\d,.e+]+); (?P<share>[\d.]+) % at most (?P<usual>[\d,.e+]+)\]$"
)
_NUMBER = r"(?<![\w./-])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\d:/-])"
_DECIMALS = 6


def excess_suffix(what: str, bound: float, usual: float, share: float) -> str:
    """Returns the suffix of the name of an event.

    Args:
        what: the measure: a column, or `<*>` between the words next to it.
        bound: its bound.
        usual: the value that a `share` of the learned values do not exceed.
        share: this share, in percent.
    """
    return f" [{what} above {shown_number(bound)}; {share:g} % at most {shown_number(usual)}]"


def describe_excess(event: str, line: str) -> str:
    """Describes the measure of an event that is above its bound; "" if none is.

    Args:
        event: name of the event.
        line: the line of the event. If it is another one, the description lacks the value.
    """
    found = _SUFFIX.search(event) if event.endswith("]") else None
    if found is None:
        return ""
    usual = f"{found['share']} % of the values in training are at most {found['usual']}"
    value = _value_above(_plain(found["bound"]), found["what"], line)
    before, _, unit = found["what"].partition(MASK)
    if value is None:
        return f"{found['what']} above {found['bound']}; {usual}"
    name = "" if MASK in found["what"] else f"{before} "
    return f"{name}{shown_number(value)}{unit}; {usual}"


def shown_number(value: float) -> str:
    """Returns a number with separators between thousands, and without needless decimals."""
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    return f"{round(value, _DECIMALS):,}".removesuffix(".0")


def _value_above(bound: float, what: str, line: str) -> float | None:
    """Returns the value of a measure in a line; None if its words are not there, or several values fit."""
    before, mask, after = what.partition(MASK)
    start = re.escape(before.strip()) + (r"\s*" if mask else r"[\"':=\s]*")
    end = rf"\s*{re.escape(after.strip())}" if after.strip() else ""
    values = {_plain(found["value"]) for found in re.finditer(rf"{start}(?P<value>{_NUMBER}){end}", line)}
    above = [value for value in values if value > bound]
    return above[0] if len(above) == 1 else None


def _plain(text: str) -> float:
    return float(text.replace(",", ""))
