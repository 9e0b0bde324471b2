r"""Finds what groups the records of a source into sequences: a column, or a pattern in their lines.

Each candidate is judged by how well events are predicted by the event before them within the same group. The
measure is the number of bits that an adaptive bigram model needs for all events, so that a key that does not
help, or that leaves one record in each group, wins nothing. Candidates in lines are words with a number after
letters (`blk_-16`, `req-3f2a`), values after a name (`session=3f2a`, `job 17`), and UUIDs.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from onward.watch.input.key_pattern import KeyPattern
from onward.watch.input.masks import LONGEST, MASK, mask_line

NO_KEYS = frozenset(("", "-", "null", "None", "none"))
"""Values that stand for a key that is not there."""

_COVERED = 0.8
"""At least this share of the records has the key."""

_SAVED = 0.1
"""Share of the bits that a key must save."""

_GROUPS = 5
_LONGEST_GROUPS = 50
"""The least number of groups, and the largest mean number of records in one."""

_MOST_CANDIDATES = 100
_PIECE = re.compile(r"""([A-Za-z][\w.-]*)(?:=|: ?| #?|#)(?=["']?[\w-])|[^\s,;()\[\]{}"'|=:#<>/]+""")
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


class Key(NamedTuple):
    """What the key of a record is.

    Attributes:
        column: its column; None: a pattern finds it.
        pattern: the pattern that finds it in a line; None: it is a column.
        groups: number of distinct keys among the records.
        example: one of them.
    """

    column: str | None
    pattern: str | None
    groups: int
    example: str


def find_key(
    events: Sequence[str], columns: Mapping[str, Sequence[str | None]], lines: Sequence[str]
) -> Key | None:
    """Returns the best key; None if no key makes the events more predictable.

    Args:
        events: the event of each record, in order.
        columns: values of the columns that may be keys, for each record.
        lines: the lines of the records; [] if only columns may be keys.
    """
    if len(events) < 2 * _GROUPS:
        return None
    best, fewest = None, (1 - _SAVED) * _bits(events, [None] * len(events))
    for column, pattern, values in _candidates(columns, lines):
        keys = [None if value in NO_KEYS else value for value in values]
        known = [key for key in keys if key is not None]
        groups = len(set(known))
        if len(known) < _COVERED * len(events) or groups < max(_GROUPS, len(events) / _LONGEST_GROUPS):
            continue
        bits = _bits(events, keys)
        if bits < fewest:
            best, fewest = Key(column, pattern, groups, known[0]), bits
    return best


def _candidates(
    columns: Mapping[str, Sequence[str | None]], lines: Sequence[str]
) -> Iterator[tuple[str | None, str | None, Sequence[str | None]]]:
    for name, values in columns.items():
        yield name, None, values
    for pattern in _patterns(lines):
        key = KeyPattern(pattern)
        yield None, pattern, [key.find(line) for line in lines]


def _patterns(lines: Sequence[str]) -> list[str]:
    """Returns patterns that match most lines, and find a value with a digit."""
    found: Counter[str] = Counter()
    for line in lines:
        found.update(set(_patterns_of(line[:LONGEST])))
    common = found.most_common(_MOST_CANDIDATES)
    alone = [pattern for pattern, count in common if count >= _COVERED * len(lines)]
    return sorted(alone) or _alternatives(lines, [pattern for pattern, count in common])


def _alternatives(lines: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Returns a pattern of alternatives that match most lines, if there is one."""
    chosen: list[str] = []
    left = lines
    for pattern in patterns:
        key = KeyPattern(pattern)
        others = [line for line in left if key.find(line) is None]
        if len(left) - len(others) >= (1 - _COVERED) * len(lines):
            chosen.append(pattern)
            left = others
    return ["|".join(chosen)] if len(chosen) > 1 and len(left) <= (1 - _COVERED) * len(lines) else []


def _patterns_of(line: str) -> Iterator[str]:
    if re.search(_UUID, line):
        yield f"({_UUID})"
    for piece in _PIECE.finditer(line):
        if name := piece[1]:
            yield rf"""\b{re.escape(name)}(?:=|: ?| #?|#)["']?([\w.-]*\d[\w.-]*)"""
        masked = mask_line(piece[0])
        prefix, mask, _ = masked.partition(MASK)
        if mask and len(re.findall(r"[A-Za-z]", prefix)) > 1:
            yield rf"(\b{re.escape(prefix)}[-+]?\d[\w-]*)"


def _bits(events: Sequence[str], keys: Sequence[str | None]) -> float:
    """Returns the bits of the events given the event before each with the same key; None: no event before."""
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    everything: Counter[str] = Counter()
    distinct = len(set(events))
    last: dict[str, str] = {}
    bits = 0.0
    for total, (event, key) in enumerate(zip(events, keys, strict=True)):
        before = None if key is None else last.get(key)
        context = counts[before]
        anywhere = (everything[event] + 0.5) / (total + 0.5 * distinct)
        bits -= math.log2((context[event] + anywhere) / (context.total() + 1))
        context[event] += 1
        everything[event] += 1
        if key is not None:
            last[key] = event
    return bits
