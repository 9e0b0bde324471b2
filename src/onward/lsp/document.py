"""A document that is open in the editor."""

from collections.abc import Sequence
from typing import NamedTuple

from onward.data.words import LONGEST_WORD, last_word_length
from onward.lsp.text import DocumentText, Encoding, TextPosition

MOST_CHARACTERS = 2_000_000
"""Longer documents get no suggestions."""


class Change(NamedTuple):
    """A change of a document.

    Attributes:
        start, end: the part that is replaced; None: the whole text.
        text: what takes its place.
    """

    start: TextPosition | None
    end: TextPosition | None
    text: str


class OpenDocument:
    """A document that is open in the editor.

    The versions of changes rise. If one does not rise, or its range is invalid, the text is not known any
    more, and the document gets no suggestions until the client sends its whole text.

    Args:
        uri: its name.
        language: identifier of its language.
        version: its version.
        text: its text.
        encoding: the code units of positions.

    Attributes:
        uri, language, version: as given; the version after the last change.
        revision: number of changes.
    """

    def __init__(self, uri: str, language: str, version: int, text: str, encoding: Encoding) -> None:
        self.uri, self.language, self.version, self.revision = uri, language, version, 0
        self._encoding: Encoding = encoding
        self._text = DocumentText(text, encoding)
        self._is_known, self._is_binary = True, "\0" in text

    @property
    def text(self) -> str:
        """Its text."""
        return self._text.text

    @property
    def can_suggest(self) -> bool:
        """Whether its text is known, and is a text that is not too long."""
        return self._is_known and not self._is_binary and len(self.text) <= MOST_CHARACTERS

    def offset(self, position: TextPosition) -> int:
        """Returns the number of characters before a position."""
        return self._text.offset(position)

    def position(self, offset: int) -> TextPosition:
        """Returns the position after a number of characters."""
        return self._text.position(offset)

    def typed_word(self, offset: int) -> str:
        """Returns the part of a word before a place."""
        before = self.text[max(0, offset - LONGEST_WORD) : offset]
        return before[len(before) - last_word_length(before) :]

    def change(self, version: int, changes: Sequence[Change]) -> None:
        """Makes changes, one after the other."""
        self.revision += 1
        if version <= self.version:
            self._is_known = False
        self.version = max(version, self.version)
        for change in changes:
            if change.start is None or change.end is None:
                self._text = DocumentText(change.text, self._encoding)
                self._is_known, self._is_binary = True, "\0" in change.text
                continue
            start, end = self.offset(change.start), self.offset(change.end)
            if start > end:
                self._is_known = False
                continue
            self._text.replace(start, end, change.text)
            self._is_binary = self._is_binary or "\0" in change.text
