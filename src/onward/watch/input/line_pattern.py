"""Finds the header of log lines, such as a time, a level and a source, by what most lines of a sample share.

From the left, a field joins the header if nine of ten lines have it: a time, a level, a number, text in
brackets, or a name before a colon or a dash. Other words may stand between such fields, as a host does. The
header ends with the last such field, and the rest of a line is its message.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from onward.watch.input.key_pattern import KeyPattern
from onward.watch.input.masks import LONGEST

MESSAGE = "message"

LONGEST_PATTERN = 10_000

_SHARE = 0.9
_LEAST_SHARES = {"time": 0.1, "level": 0.5}
"""Shares of all lines that are enough for the first field of a header: other lines may continue a record."""

_MOST_FIELDS = 14
_MOST_WORDS = 4
"""Maximum number of words between two fields of other kinds."""

LEVELS = (
    "TRACE|VERBOSE|DEBUG|DBG|FINEST|FINER|FINE|CONFIG|INFORMATION|INFO|INF|NOTICE|WARNING|WARN|WRN|ERROR|ERR|"
    "SEVERE|CRITICAL|CRIT|FATAL|ALERT|EMERGENCY|EMERG|PANIC|FAILURE|SUCCESS"
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
_CLOCK = r"\d{1,2}:\d{1,2}:\d{1,2}(?:[.,:]\d+)?(?: ?[AP]M)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}|[+-]\d\d:?\d\d))?"
_TIMES = (
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}[T _-]{_CLOCK}(?:Z| ?[+-]\d\d:?\d\d| UTC| GMT)?",
    r"\d{4}-\d\d-\d\d[-T _]\d\d\.\d\d\.\d\d(?:\.\d+)?",
    rf"\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}},? {_CLOCK}",
    rf"\d{{1,2}}/{_MONTH}/\d{{4}}:{_CLOCK}{_ZONE}",
    rf"{_DAY}\d{{1,2}}[ -]{_MONTH}[ -]\d{{4}} {_CLOCK}{_ZONE}",
    rf"{_DAY}{_MONTH} +\d{{1,2}},?(?: \d{{4}})? {_CLOCK}{_ZONE}(?: \d{{4}})?",
    rf"\d{{1,2}}[-/.]\d{{1,2}} {_CLOCK}",
    rf"\d{{8}}[-T ]?{_CLOCK}",
    r"\d{8}T\d{6}Z?",
    r"\d{6,8} \d{6}",
    r"1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?",
    _CLOCK,
    r"\d{4}[-/.]\d\d[-/.]\d\d",
)


class _Kind(NamedTuple):
    """A kind of field.

    Attributes:
        name: name of its group; "" if it is named by its place.
        regex: what precedes the content, the content, and what follows it.
        is_strong: whether the header may end with it, wherever it stands.
        most_words: maximum number of other words between it and the field before.
        end: what separates it from the next field; None: the separator of the line.
    """

    name: str
    regex: tuple[str, str, str]
    is_strong: bool = True
    most_words: int = 1
    end: str | None = None


_OPEN, _CLOSE = r"[\[(<]?", r"[\])>]?:?"
_KINDS = (
    *(_Kind("time", (_OPEN, time, r"[\])>]?[:,]?"), most_words=_MOST_WORDS) for time in _TIMES),
    _Kind("priority", ("<", r"\d{1,3}", r">\d?")),
    _Kind("level", (_OPEN, rf"(?i:{LEVELS})", _CLOSE), most_words=_MOST_WORDS),
    _Kind("level", ("", rf"(?i:{LEVELS})", r":(?P<source>[A-Za-z_][\w.]*):"), end=""),
    _Kind("level", ("", "[VDIWEF]", "")),
    _Kind("level", ("", "[IWEF]", r"(?P<date>\d{4})")),
    _Kind("", (r"\[", r"[^\]]*", r"\]:?"), most_words=2),
    _Kind(
        "source",
        ("", r"[\d.]*[A-Za-z_*(/][^\s\[\]:|=\"']*(?:\([^)]*\))?", r"(?:\[(?P<pid>\d+)\])?(?: \([^)]*\))?:"),
    ),
    _Kind(
        "source", ("", r"[\d.]*[A-Za-z_*(/][^\s\[\]:|=\"']*(?: [^\s\[\]:|=\"'-][^\s\[\]:|=\"']*){0,2}", " -")
    ),
    _Kind("source", ("", r"[A-Za-z_][\w./-]*", r"\[(?P<pid>\d+)\]")),
    _Kind("source", ("", r"[A-Za-z_][\w./-]*:\d+", r"(?:\]:?|:)")),
    _Kind("", ("", r"[-+]?\d+", ""), is_strong=False),
)
_WORD = _Kind("", ("", r"[^\s|]+", ""), is_strong=False)
_CELL = _Kind("", ("", r"[^|]*", ""))
_GROUP = re.compile(r"\(\?P<\w+>")
_END = r"(?:\s+(?:-\s+)?|$)"
_BAR = r"\s*\|\s*"


class LinePattern:
    """Splits log lines into the fields of their header, and the message.

    Args:
        pattern: a regular expression that matches from the start of a line. The names of its groups are the
            names of the fields.
        wanted: names of the fields to return; None: all. Fewer fields are found faster.

    Attributes:
        names: the names of the fields.

    Raises:
        InputError: it is not such a regular expression.
    """

    def __init__(self, pattern: str, wanted: Iterable[str] | None = None) -> None:
        if wanted is not None:
            kept = {f"(?P<{name}>" for name in wanted}
            pattern = _GROUP.sub(lambda group: group[0] if group[0] in kept else "(?:", pattern)
        self._pattern = KeyPattern(pattern, LONGEST_PATTERN)
        self.names = self._pattern.names

    def fields(self, line: str) -> dict[str, str] | None:
        """Returns the fields of a line by name, without those that it lacks; None if it does not match."""
        return self._pattern.named(line)


def find_pattern(lines: Sequence[str]) -> str | None:
    """Returns the pattern of the lines; None if they share no header."""
    header = _Header(lines)
    while len(header.kinds) < _MOST_FIELDS and header.add_field():
        pass
    return header.pattern()


class _Field(NamedTuple):
    kind: _Kind
    end: str
    share: float


class _Header:
    """The fields that were found so far.

    Attributes:
        kinds: the fields.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._rests = [
            line[:LONGEST].rstrip() for line in lines if not line[:1].isspace()
        ]  # others are continued
        self.kinds: list[_Field] = []

    def add_field(self) -> bool:
        """Adds the next field, and returns whether there is one."""
        once = {field.kind.name for field in self.kinds} & {"level", "source"}
        ends = [_BAR] if self._has_bars() else [_END]
        kinds = (*_KINDS, _CELL) if ends == [_BAR] else (*_KINDS, _WORD)
        for kind in kinds:
            if kind.name in once or (kind is not _WORD and self._words_at_end() > kind.most_words):
                continue
            for end in ends if kind.end is None else [kind.end]:
                regex = re.compile("".join(kind.regex) + end)
                found = [regex.match(rest) for rest in self._rests]
                count = sum(match is not None for match in found)
                if count and count >= self._needed(kind) * len(self._rests):
                    self.kinds.append(_Field(kind, end, count / len(self._rests)))
                    self._rests = [
                        rest[match.end() :] for rest, match in zip(self._rests, found, strict=True) if match
                    ]
                    return kind is not _WORD or self._words_at_end() <= _MOST_WORDS
        return False

    def _needed(self, kind: _Kind) -> float:
        return _SHARE if self.kinds else _LEAST_SHARES.get(kind.name, _SHARE)

    def _has_bars(self) -> bool:
        count = sum("|" in rest for rest in self._rests)
        return count >= _SHARE * len(self._rests) and (not self.kinds or self.kinds[-1].end == _BAR)

    def _words_at_end(self) -> int:
        words = 0
        for field in reversed(self.kinds):
            if field.kind is not _WORD:
                break
            words += 1
        return words

    def pattern(self) -> str | None:
        kinds = self.kinds
        while kinds and not self._may_end(kinds):
            kinds = kinds[:-1]
        if not kinds:
            return None
        names: Counter[str] = Counter()
        parts: list[str] = []
        for place, field in enumerate(kinds, 1):
            before, content, after = field.kind.regex
            name = field.kind.name or f"field{place}"
            names[name] += 1
            if names[name] > 1:
                name = f"{name}{names[name]}"
                after = _GROUP.sub("(?:", after)
            part = f"{before}(?P<{name}>{content}){after}{field.end}"
            parts.append(part if field.share == 1 or place == 1 else f"(?:{part})?")
        return f"^{''.join(parts)}(?P<{MESSAGE}>.*)$"

    @staticmethod
    def _may_end(kinds: list[_Field]) -> bool:
        if kinds[-1].kind.is_strong:
            return True
        return kinds[-1].kind is not _WORD and len(kinds) > 1 and kinds[-2].kind.is_strong
