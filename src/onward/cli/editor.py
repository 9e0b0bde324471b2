"""A line editor that suggests continuations in grey."""

from collections.abc import Callable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

FindContinuations = Callable[[str], list[str]]
"""Returns the continuations of a line, the likeliest first."""

_ESCAPE_SECONDS = 0.2  # after this time, an escape character is the Escape key, not the start of a code


class Editor:
    """Reads lines from a terminal.

    Tab and the right arrow accept the suggestion, up and down show others, Escape hides it until the next
    key.
    """

    def __init__(self, find: FindContinuations, **terminal: Any) -> None:
        self._suggestions = _Suggestions(find)
        self._session: PromptSession[str] = PromptSession(
            "> ", auto_suggest=self._suggestions, key_bindings=_keys(self._suggestions), **terminal
        )
        self._session.app.timeoutlen = self._session.app.ttimeoutlen = _ESCAPE_SECONDS

    def line(self) -> str | None:
        """Returns the next line, or None at the end of input."""
        try:
            return self._session.prompt()
        except EOFError:
            return None


class _Suggestions(AutoSuggest):
    """The continuations of the current line, one of which is shown."""

    def __init__(self, find: FindContinuations) -> None:
        self._find = find
        self._text: str | None = None
        self._found: list[str] = []
        self._shown = 0

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """Returns the suggestion, if the cursor is at the end of the text."""
        if not document.text or not document.is_cursor_at_the_end:
            return None
        if document.text != self._text:
            self._text, self._shown = document.text, 0
            # a line cannot take a continuation that contains a line end
            self._found = [text for text in self._find(document.text) if text.isprintable()]
        return Suggestion(self._found[self._shown]) if self._found else None

    def turn(self, by: int) -> None:
        """Shows another continuation."""
        if self._found:
            self._shown = (self._shown + by) % len(self._found)

    def hide(self) -> None:
        """Shows no continuation until the text changes."""
        self._found = []


def _keys(suggestions: _Suggestions) -> KeyBindings:
    keys = KeyBindings()

    def accept(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        shown = suggestions.get_suggestion(buffer, buffer.document)
        if shown:
            buffer.insert_text(shown.text)

    def choose(by: int) -> Callable[[KeyPressEvent], None]:
        def turn(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            suggestions.turn(by)
            buffer.suggestion = suggestions.get_suggestion(buffer, buffer.document)

        return turn

    def hide(event: KeyPressEvent) -> None:
        suggestions.hide()
        event.current_buffer.suggestion = None

    keys.add("tab")(accept)
    keys.add("escape")(hide)
    keys.add("up")(choose(-1))
    keys.add("down")(choose(1))
    return keys
