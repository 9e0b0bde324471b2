"""The text of an open document, with the positions of the language server protocol.

A position is a line and a number of code units in it. The client chooses the code units: UTF-16, unless it
prefers another encoding. Lines end at a newline, a carriage return, or both.
"""

import re
from bisect import bisect_right
from typing import Literal, NamedTuple, TypeAlias

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]

_LINE_END = re.compile(r"\r\n|\n|\r")


class TextPosition(NamedTuple):
    """A line, and a number of code units in it, both from 0."""

    line: int
    character: int


class DocumentText:
    """A text that changes.

    Args:
        text: the text.
        encoding: the code units of positions.

    Attributes:
        text: the text now.
    """

    def __init__(self, text: str, encoding: Encoding = "utf-16") -> None:
        self.text, self._encoding = text, encoding
        self._starts = [0, *(found.end() for found in _LINE_END.finditer(text))]

    def offset(self, position: TextPosition) -> int:
        """Returns the number of characters before a position. One beyond a line or the text is its end."""
        if position.line >= len(self._starts):
            return len(self.text)
        line = self._line(position.line)
        if line.isascii() or self._encoding == "utf-32":
            return self._starts[position.line] + min(position.character, len(line))
        units = 0
        for i, character in enumerate(line):
            units += self._units(character)
            if units > position.character:
                return self._starts[position.line] + i
        return self._starts[position.line] + len(line)

    def position(self, offset: int) -> TextPosition:
        """Returns the position after a number of characters."""
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        units = len(before) if before.isascii() else sum(map(self._units, before))
        return TextPosition(line, units)

    def replace(self, start: int, end: int, insert: str) -> None:
        """Replaces the characters between two offsets."""
        first = max(0, bisect_right(self._starts, start) - 2)
        after = bisect_right(self._starts, end) + 1  # a line end may join with a character of the insertion
        rest = self._starts[after:]
        region = rest[0] if rest else len(self.text)
        growth = len(insert) - (end - start)
        self.text = self.text[:start] + insert + self.text[end:]
        found = _LINE_END.finditer(self.text, self._starts[first], region + growth)
        self._starts[first + 1 :] = [each.end() for each in found]
        self._starts += [each + growth for each in rest[1:]]

    def _line(self, number: int) -> str:
        """Returns a line without its end."""
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
        return self.text[self._starts[number] : end].rstrip("\r\n")

    def _units(self, character: str) -> int:
        code = ord(character)
        if self._encoding == "utf-16":
            return 1 + (code > 0xFFFF)
        if self._encoding == "utf-8":
            return 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)
        return 1
