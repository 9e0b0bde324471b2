"""Splits a masked line into words: the units that templates consist of."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from onward.watch.input.masks import MASK

_WORD = re.compile(r"""[^\s=:,;()\[\]{}"'|#]+|[=:,;()\[\]{}"'|#]""")
_PIECE = re.compile(r"""[^\s,;()\[\]{}"'|]+|[,;()\[\]{}"'|]|\s+""")
_SETTING = re.compile(r"([\w.-]+=)(.+)")
_SEPARATORS = frozenset("=:,;()[]{}\"'|#")
_LIST_SEPARATORS = frozenset(",:;|#")
_BRACKETS = {")": "(", "]": "["}

_MOST_WORDS = 128

Words = tuple[str, ...]


class Number(NamedTuple):
    """A number that stands alone in a line, perhaps with a unit.

    Attributes:
        word: place of its word.
        mask: place of its mask among the masks of this word.
        item, items: its place in a list of numbers, and the length of this list; 0 and 1 without one.
        found: place of the number among all masks of the line.
        unit: what follows it in its word, such as ms.
    """

    word: int
    mask: int
    item: int
    items: int
    found: int
    unit: str


class Line(NamedTuple):
    """A masked line.

    Attributes:
        words: its words and separators.
        spaces: a bit for each word that says whether a space precedes it.
        numbers: the numbers in it.
    """

    words: Words
    spaces: int
    numbers: tuple[Number, ...] = ()

    @property
    def text(self) -> str:
        return "".join(f" {w}" if self.spaces >> i & 1 else w for i, w in enumerate(self.words)).strip()


def line_of(masked: str) -> Line:
    """Returns the words of a masked line.

    A word with several masks is a parameter, and so is a path. Equal words with masks that follow each other
    are one, because the length of a list varies too.
    """
    words, space, masks = _Words(), False, 0
    for word, raw in _words_of(masked):
        if not word:
            space = True
            continue
        found = range(masks, masks + raw.count(MASK))
        masks = found.stop
        if MASK not in word:
            words.append(word, space)
        elif not words.end_with_item(word, numbers := _numbers(raw, found)):
            words.append(word, space, numbers)
        space = False
    return words.line()


def split_template(text: str) -> Words:
    """Returns the words of a template."""
    words, end = _Words(), 0
    for found in _WORD.finditer(text):
        words.append(found[0], found.start() > end)
        end = found.end()
    return words.line().words


_Item = tuple[int, str]
"""The place of a number among all masks, and its unit."""


class _Words:
    """Collects the words of a line. `name(word)` and `name[word]` are one word."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._spaces: list[bool] = []
        self._numbers: dict[int, tuple[int, list[_Item]]] = {}
        """For a word: which of its masks is a number or a list of numbers, and these numbers."""

    def append(self, word: str, space: bool, numbers: list[_Item] | None = None) -> None:
        """Adds a word, and the numbers in it."""
        if word in _BRACKETS and len(self._words) > 2 and not (space or any(self._spaces[-2:])):
            name, opened, content = self._words[-3:]
            if opened == _BRACKETS[word] and name not in _SEPARATORS and content not in _SEPARATORS:
                self._words[-3:] = [f"{name}{opened}{content}{word}"]
                del self._spaces[-2:]
                last = len(self._words) - 1
                self._numbers.pop(last, None)
                if inner := self._numbers.pop(last + 2, None):
                    self._numbers[last] = name.count(MASK), inner[1]
                return
        if numbers:
            self._numbers[len(self._words)] = 0, numbers
        self._words.append(word)
        self._spaces.append(space)

    def end_with_item(self, word: str, numbers: list[_Item]) -> bool:
        """Whether the words end with an item of the same list, after which a separator may stand."""
        if self._words[-2:-1] == [word] and self._words[-1] in _LIST_SEPARATORS:
            self._words.pop()
            self._spaces.pop()
        if self._words[-1:] != [word]:
            return False
        last = len(self._words) - 1
        if last in self._numbers:
            self._numbers[last][1].extend(numbers)
        return True

    def line(self) -> Line:
        spaces = sum(1 << i for i, space in enumerate(self._spaces[:_MOST_WORDS]) if space)
        numbers = tuple(
            Number(word, mask, item, len(items), found, unit)
            for word, (mask, items) in self._numbers.items()
            if word < _MOST_WORDS
            for item, (found, unit) in enumerate(items)
        )
        return Line(tuple(self._words[:_MOST_WORDS]), spaces, numbers)


def _words_of(masked: str) -> Iterator[tuple[str, str]]:
    """Yields words and separators with the text that they stand for, and two "" for white space."""
    for piece in _PIECE.findall(masked):
        if piece.isspace():
            yield "", ""
            continue
        if setting := _SETTING.fullmatch(piece):
            yield from ((word, word) for word in _WORD.findall(setting[1]))
            piece = setting[2]  # noqa: PLW2901
        if is_parameter(piece):
            yield MASK, piece
        else:
            for word in _WORD.findall(piece):
                yield MASK if is_parameter(word) else word, word


def _numbers(raw: str, found: range) -> list[_Item]:
    """Returns the number of a text; [] if it is none."""
    unit = raw.removeprefix(MASK).rstrip(".")
    if len(found) == 1 and raw.startswith(MASK) and (unit in ("", "%") or unit.isalpha()):
        return [(found[0], unit)]
    return []


def is_parameter(word: str) -> bool:
    """Whether a word with masks varies as a whole."""
    if word.count("/") > 1 or word.count("\\") > 1:
        return True
    rest = word.replace(MASK, "", 1)
    if rest == word:
        return False
    return MASK in rest or any(c in rest for c in "/@\\.") or not any(map(str.isalpha, rest))
