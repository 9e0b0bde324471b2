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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from heapq import heappush, heappushpop
from itertools import accumulate
from typing import Any, NamedTuple

from onward.watch.input.masks import MASK, mask_line, split_line
from onward.watch.input.numbers import Code, Measure, Numbers, Rule, is_above
from onward.watch.input.template_words import Line, Number, Words, line_of, split_template

MOST_TEMPLATES = 20_000
"""Maximum number of templates; the rarest are dropped."""

_CACHED_LINES = 1 << 16
_BEFORE = re.compile(r"[A-Za-z_][\w.-]{0,40}[=: ]{0,3}$")
_AFTER = re.compile(r" ?[A-Za-z%][A-Za-z/]{0,20}(?![\w<])")
"""The words next to a number that name it."""

_GROUP_LINES = 2000
"""Maximum number of distinct lines of one length to mine. Those with the smallest hashes are kept, so that
they do not depend on the order, and their counts are exact."""

_NEW_SHARE = 0.1
"""Words recur if at most this share of the lines has a word that no other line has: the Good-Turing estimate
of the probability that the next word is new."""

_FEW = 3
"""Up to this number of distinct words always are a closed set. It may grow as the root of the lines."""


class _Kind:
    """The kind of a masked line, and what its numbers mean for its event.

    Attributes:
        template: its template.
        rules: the places of numbers among the parts of a line, and their rules; () if no number matters.
    """

    def __init__(self, template: str, numbers: Iterable["Placed"], rules: Mapping[str, Rule]) -> None:
        self.template = template
        ruled = [(number, rules[number.place]) for number in numbers if number.place in rules]
        self._codes = [(number, rule) for number, rule in ruled if isinstance(rule, Code)]
        self._measures = [
            (number.part, rule.bound, rule.suffix(_context(template, number)))
            for number, rule in ruled
            if isinstance(rule, Measure)
        ]
        self.is_fixed = not ruled

    def event(self, parts: Sequence[str]) -> str:
        """Returns the event of a line with these parts (see `split_line`)."""
        event = self._named(parts) if self._codes else self.template
        for part, bound, suffix in self._measures:
            if is_above(parts[part], bound):
                return event + suffix
        return event

    def _named(self, parts: Sequence[str]) -> str:
        """Returns the template with the values of its codes."""
        texts = self.template.split(MASK)
        shown = [[MASK] for _ in texts[1:]]
        for number, rule in self._codes:
            if len(shown[number.mask]) < number.items:
                shown[number.mask] = [MASK] * number.items
            shown[number.mask][number.item] = rule.shown(parts[number.part])
        return texts[0] + "".join(" ".join(s) + text for s, text in zip(shown, texts[1:], strict=True))


class Placed(NamedTuple):
    """A number of a line, and its place in the template.

    Attributes:
        place: name of the place: which number of the template, and its item in a list of numbers.
        part: its place among the parts of the line (see `split_line`).
        mask: its place among the masks of the template.
        item, items: its place in a list of numbers, and the length of this list.
        unit: what follows it in its word, such as ms.
    """

    place: str
    part: int
    mask: int
    item: int
    items: int
    unit: str


class Templates:
    """Finds the template of a line, and its event: the template with its codes (see `numbers`).

    Args:
        texts: the templates, with `<*>` for variable parts.
        numbers: the rules for the numbers of each template.

    Attributes:
        texts: as given.
        numbers: as given.
    """

    def __init__(self, texts: Iterable[str], numbers: Numbers | None = None) -> None:
        self.texts = tuple(texts)
        self.numbers = numbers or {}
        self._root: dict[str | None, Any] = {}  # a trie of words; None leads to the text
        for text in self.texts:
            node = self._root
            for word in split_template(text):
                node = node.setdefault(word, {})
            node.setdefault(None, text)
        self._cache: dict[tuple[str, int], _Kind] = {}

    @classmethod
    def mine(cls, lines: Iterable[str]) -> "Templates":
        """Returns the templates of lines, sorted."""
        miner = TemplateMiner()
        for line in lines:
            miner.event(line)
        return miner.templates()

    def event(self, line: str) -> str:
        """Returns the event of a line. A line of a new kind is a template of its own."""
        return self.kind_and_event(line)[1]

    def kind_and_event(self, line: str) -> tuple[str, str]:
        """Returns the template of a line, and its event."""
        parts = split_line(line)
        content = MASK.join(parts[::2])
        key = content, len(parts)  # a line may contain masks itself
        kind = self._cache.get(key)
        if kind is None:
            template, numbers = self.placed(content, parts)
            kind = _Kind(template, numbers, self.numbers.get(template, {}))
            if len(self._cache) >= _CACHED_LINES:
                self._cache.clear()
            self._cache[key] = kind
        return kind.template, kind.template if kind.is_fixed else kind.event(parts)

    def placed(self, content: str, parts: Sequence[str]) -> tuple[str, list[Placed]]:
        """Returns the template of a masked line with these parts, and the numbers in it."""
        line = line_of(content)
        template = self._find(line.words)
        if template is None or content.count(MASK) != len(parts) // 2:
            return template or line.text, []
        words = split_template(template)
        before = [0, *accumulate(word.count(MASK) for word in words)]
        return template, [
            Placed(
                _name_of(mask := before[n.word] + n.mask, n), 2 * n.found + 1, mask, n.item, n.items, n.unit
            )
            for n in line.numbers
            if n.word < len(words) and words[n.word] == line.words[n.word]
        ]

    def _find(self, words: Words) -> str | None:
        """Returns the template that has the words, and among several one whose first words are not masks."""
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


def _name_of(mask: int, number: Number) -> str:
    """Returns the name of the place of a number, such as "2", "2 ms", or "2.1/3" for the first of three."""
    item = f".{number.item + 1}/{number.items}" if number.items > 1 else ""
    return f"{mask + 1}{item} {number.unit}".strip()


def _context(template: str, number: Placed) -> str:
    """Returns the mask of a number in a template with the words next to it, such as "in <*> ms"."""
    texts = template.split(MASK)
    before, after = _BEFORE.search(texts[number.mask]), _AFTER.match(texts[number.mask + 1])
    unit = number.unit or (after[0] if after else "")
    return f"{before[0].lstrip() if before else ''}{MASK}{unit}".strip()


_Group = dict[Words, tuple[int, int]]
"""The lines of one length, each with its count and the spaces of its words (see `Line`)."""


class TemplateMiner:
    """Collects lines, and mines their templates.

    A parser may have it in the place of templates.
    """

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = defaultdict(dict)
        self._cache: dict[str, tuple[Words, int]] = {}
        self._heaps: dict[int, list[tuple[int, Words]]] = defaultdict(list)  # the largest hash first

    def kind_and_event(self, line: str) -> tuple[str, str]:
        """Adds a line, and returns neither its template nor its event."""
        self.event(line)
        return "", ""

    def event(self, line: str) -> str:
        """Adds a line, and returns no event."""
        content = mask_line(line)
        known = self._cache.get(content)
        if known is None:
            known = line_of(content)[:2]
            if len(self._cache) >= _CACHED_LINES:
                self._cache.clear()
            self._cache[content] = known
        words, spaces = known
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


def _templates(lines: _Group) -> Iterator[tuple[Line, int]]:
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
            yield Line(words, group[first][1]), total


def _is_closed(found: Counter[str]) -> bool:
    """Whether the words at a position are a closed set, and not numbered names."""
    return 2 * sum(MASK in word for word in found) <= len(found) and is_closed(found)


def is_closed(found: Counter[str]) -> bool:
    """Whether values are a closed set: the distinct ones are few, and recur."""
    total, new = found.total(), sum(count == 1 for count in found.values())
    return len(found) <= _FEW or (len(found) <= math.isqrt(total) and new <= _NEW_SHARE * total)
