"""Log templates: the kinds of line in a log, mined from the lines that are learned.

Numbers, ids, addresses, times and paths are masked first, because their form shows that they vary. Whether
any other word varies is decided by counting. Lines with the same number of words form a group. The group is
split at the position with the fewest distinct words, as long as these words recur: they are a closed set,
such as Accepted and Failed, and each keeps a template of its own. Where new words keep appearing at all
positions that still differ, these positions are parameters.

The result depends on the lines and on their counts, but not on their order. Templates do not change later.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

MASK = "<*>"

LONGEST = 1000
"""Maximum number of characters of a line to use; the rest is usually data and not a message."""

MOST_TEMPLATES = 20_000
"""Maximum number of templates; the rarest are dropped."""

_CACHED_LINES = 1 << 16
_MOST_WORDS = 128
_GROUP_LINES = 2000
"""Maximum number of distinct lines of one length to mine. Those with the smallest hashes are kept, so that
they do not depend on the order, and their counts are exact."""

_NEW_SHARE = 0.1
"""Words recur if at most this share of the lines has a word that no other line has: the Good-Turing estimate
of the probability that the next word is new."""

_FEW = 3
"""Up to this number of distinct words always are a closed set. It may grow as the root of the lines."""

_DAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? {1,2})?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE = rf"{_DAY}(?:{_MONTH} {{1,2}}\d{{1,2}}|\d{{1,2}}[ /-]{_MONTH})(?:,?[ /-]\d{{4}}(?!\d))?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[ECMP][SD]T|CES?T)\b| ?[+-]\d\d:?\d\d\b)?"
_CLOCK = rf"\d{{1,2}}:\d\d:\d\d(?:[.,]\d+)?(?: ?[AP]M\b)?{_ZONE}"

_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    rf"|\b{_DATE}(?:[ :T]{{1,2}}{_CLOCK}(?: \d{{4}}\b)?)?"
    r"|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"  # MAC address
    r"|(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}(?![\w:])"  # IPv6 address
    r"|\b0x[0-9a-f]+\b"
    r"|\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b"  # hexadecimal id with at least one digit
    rf"|\b{_CLOCK}"
    r"|[-+]?\d+(?:[.,:/T-]\d+)*Z?",  # number, date, time, IP address, version
    re.IGNORECASE,
)

_WORD = re.compile(r"""[^\s=:,;()\[\]{}"'|#]+|[=:,;()\[\]{}"'|#]""")
_PIECE = re.compile(r"""[^\s,;()\[\]{}"'|]+|[,;()\[\]{}"'|]|\s+""")
_SETTING = re.compile(r"([\w.-]+=)(.+)")
_SEPARATORS = frozenset("=:,;()[]{}\"'|#")
_LIST_SEPARATORS = frozenset(",:;|#")
_BRACKETS = {")": "(", "]": "["}

Words = tuple[str, ...]


class _Line(NamedTuple):
    """A masked line: its words and separators, and for each a bit that says whether a space precedes it."""

    words: Words
    spaces: int

    @property
    def text(self) -> str:
        return "".join(f" {w}" if self.spaces >> i & 1 else w for i, w in enumerate(self.words)).strip()


class Templates:
    """Finds the template of a line.

    Args:
        texts: the templates, with `<*>` for variable parts.

    Attributes:
        texts: as given.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        self._root: dict[str | None, Any] = {}  # a trie of words; None leads to the text
        for text in self.texts:
            node = self._root
            for word in _split(text):
                node = node.setdefault(word, {})
            node.setdefault(None, text)
        self._cache: dict[str, str] = {}

    @classmethod
    def mine(cls, lines: Iterable[str]) -> "Templates":
        """Returns the templates of lines, sorted."""
        miner = TemplateMiner()
        for line in lines:
            miner.event(line)
        return miner.templates()

    def event(self, line: str) -> str:
        """Returns the template of a line. A line of a new kind is a template of its own."""
        content = mask_line(line)
        event = self._cache.get(content)
        if event is None:
            known = _line_of(content)
            event = self._find(known.words) or known.text
            if len(self._cache) >= _CACHED_LINES:
                self._cache.clear()
            self._cache[content] = event
        return event

    def _find(self, words: Words) -> str | None:
        """Returns the template that has the words, and among several one whose first words are no masks."""
        waiting = [(self._root, 0)]
        while waiting:
            node, place = waiting.pop()
            if place == len(words):
                if None in node:
                    return node[None]
                continue
            for word in dict.fromkeys((MASK, words[place])):
                if word in node:
                    waiting.append((node[word], place + 1))
        return None

    def to_json(self) -> list[str]:
        return list(self.texts)


def mask_line(line: str) -> str:
    """Returns the first `LONGEST` characters with MASK for each number, address, id and time.

    The mask may be inside a word: `blk_-1608` becomes `blk_<*>`, and `R02-M1` becomes `R<*>-M<*>`. If the
    line is the path of a URL, its parts are words.
    """
    if line.startswith("/") and " " not in line:
        line = line.partition("?")[0].replace("/", " /").strip()
    if len(line) > LONGEST:
        line = line[:LONGEST].rpartition(" ")[0] or line[:LONGEST]
    return _VARIABLE.sub(MASK, line)


def _line_of(masked: str) -> _Line:
    """Returns the words of a masked line.

    A word with several masks is a parameter, and so is a path. Equal words with masks that follow each other
    are one, because the length of a list varies too.
    """
    words, spaces = _Words(), False
    for word in _words_of(masked):
        if not word:
            spaces = True
            continue
        if MASK in word and words.end_with_item(word):
            spaces = False
            continue
        words.append(word, spaces)
        spaces = False
    return words.line()


class _Words:
    """Collects the words of a line. `name(word)` and `name[word]` are one word."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._spaces: list[bool] = []

    def append(self, word: str, space: bool) -> None:
        if word in _BRACKETS and len(self._words) > 2 and not (space or any(self._spaces[-2:])):
            name, opened, content = self._words[-3:]
            if opened == _BRACKETS[word] and name not in _SEPARATORS and content not in _SEPARATORS:
                self._words[-3:] = [f"{name}{opened}{content}{word}"]
                del self._spaces[-2:]
                return
        self._words.append(word)
        self._spaces.append(space)

    def end_with_item(self, word: str) -> bool:
        """Whether the words end with an item of the same list, after which a separator may stand."""
        if self._words[-1:] == [word]:
            return True
        if self._words[-2:-1] == [word] and self._words[-1] in _LIST_SEPARATORS:
            self._words.pop()
            self._spaces.pop()
            return True
        return False

    def line(self) -> _Line:
        spaces = sum(1 << i for i, space in enumerate(self._spaces[:_MOST_WORDS]) if space)
        return _Line(tuple(self._words[:_MOST_WORDS]), spaces)


def _words_of(masked: str) -> Iterator[str]:
    """Yields words, separators, and "" for white space."""
    for piece in _PIECE.findall(masked):
        if piece.isspace():
            yield ""
            continue
        if setting := _SETTING.fullmatch(piece):
            yield from _WORD.findall(setting[1])
            piece = setting[2]  # noqa: PLW2901
        if _is_parameter(piece):
            yield MASK
        else:
            for word in _WORD.findall(piece):
                yield MASK if _is_parameter(word) else word


def _split(text: str) -> Words:
    """Returns the words of a template."""
    words, end = _Words(), 0
    for found in _WORD.finditer(text):
        words.append(found[0], found.start() > end)
        end = found.end()
    return words.line().words


def _is_parameter(word: str) -> bool:
    if word.count("/") > 1 or word.count("\\") > 1:
        return True
    rest = word.replace(MASK, "", 1)
    if rest == word:
        return False
    return MASK in rest or any(c in rest for c in "/@\\.") or not any(map(str.isalpha, rest))


_Group = dict[Words, tuple[int, int]]
"""The lines of one length, each with its count and the spaces of its words (see `_Line`)."""


class TemplateMiner:
    """Collects lines, and mines their templates.

    A parser may have it in the place of templates.
    """

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = defaultdict(dict)
        self._heaps: dict[int, list[tuple[int, Words]]] = defaultdict(list)  # the largest hash first

    def event(self, line: str) -> str:
        """Adds a line, and returns no event."""
        words, spaces = _line_of(mask_line(line))
        group, heap = self._groups[len(words)], self._heaps[len(words)]
        if words in group:
            count, before = group[words]
            group[words] = count + 1, min(before, spaces)
            return ""
        digest = blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).digest()
        entry = -int.from_bytes(digest, "big"), words
        if len(heap) < _GROUP_LINES:
            heappush(heap, entry)
        elif (dropped := heappushpop(heap, entry)[1]) == words:
            return ""
        else:
            del group[dropped]
        group[words] = 1, spaces
        return ""

    def templates(self) -> Templates:
        """Returns the templates of the lines so far, sorted."""
        found: Counter[str] = Counter()
        for length in sorted(self._groups):
            for template, count in _templates(self._groups[length]):
                found[template.text] += count
        kept = sorted(found, key=lambda text: (-found[text], text))[:MOST_TEMPLATES]
        return Templates(sorted(filter(None, kept)))


def _templates(lines: _Group) -> Iterator[tuple[_Line, int]]:
    """Yields the templates of lines of one length, and the number of lines of each."""
    waiting = [lines]
    while waiting:
        group = waiting.pop()
        first = min(group)
        at = [Counter[str]() for _ in first]  # the words at each position
        for words, (count, _) in group.items():
            for place, word in enumerate(words):
                at[place][word] += count
        total = sum(count for count, _ in group.values())
        varying = sorted((len(found), place) for place, found in enumerate(at) if len(found) > 1)
        fixed = sum(len(found) == 1 and first[place][0].isalpha() for place, found in enumerate(at))
        if varying and (_is_closed(at[varying[0][1]]) or fixed < max(1, len(varying))):
            parts: dict[str, _Group] = defaultdict(dict)
            for words, entry in group.items():
                parts[words[varying[0][1]]][words] = entry
            waiting += parts.values()
        else:
            parameters = {place for _, place in varying}
            words = tuple(MASK if place in parameters else word for place, word in enumerate(first))
            yield _Line(words, group[first][1]), total


def _is_closed(found: Counter[str]) -> bool:
    """Whether the words at a position are a closed set, and not numbered names."""
    return 2 * sum(MASK in word for word in found) <= len(found) and is_closed(found)


def is_closed(found: Counter[str]) -> bool:
    """Whether values are a closed set: the distinct ones are few, and recur."""
    total, new = found.total(), sum(count == 1 for count in found.values())
    return len(found) <= _FEW or (len(found) <= math.isqrt(total) and new <= _NEW_SHARE * total)
