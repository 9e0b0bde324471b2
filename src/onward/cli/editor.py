"""A line editor that shows in grey what could follow what was typed."""

from collections.abc import Callable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

Ask = Callable[[str], list[str]]
"""The continuations of a line so far, the likeliest first."""
_ESCAPE_SECONDS = 0.2  # after which an Escape is a key of its own, and not the beginning of another


class Editor:
    """Reads lines from a terminal.

    Tab and the right arrow take what is grey, up and down show the others, Escape hides it until a key.
    """

    def __init__(self, ask: Ask, **terminal: Any) -> None:
        self._ghosts = _Ghosts(ask)
        self._session: PromptSession[str] = PromptSession(
            "> ", auto_suggest=self._ghosts, key_bindings=_keys(self._ghosts), **terminal
        )
        self._session.app.timeoutlen = self._session.app.ttimeoutlen = _ESCAPE_SECONDS

    def line(self) -> str | None:
        """The next line, or None when the user ends."""
        try:
            return self._session.prompt()
        except EOFError:
            return None


class _Ghosts(AutoSuggest):
    """What could follow, and which of it is shown."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._text: str | None = None
        self._found: list[str] = []
        self._shown = 0

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        """What is shown behind the text, while the cursor is at its end."""
        if not document.text or not document.is_cursor_at_the_end:
            return None
        if document.text != self._text:
            self._text, self._shown = document.text, 0
            # what has an end of line in it cannot be taken into a line
            self._found = [text for text in self._ask(document.text) if text.isprintable()]
        return Suggestion(self._found[self._shown]) if self._found else None

    def turn(self, by: int) -> None:
        """Shows another one."""
        if self._found:
            self._shown = (self._shown + by) % len(self._found)

    def hide(self) -> None:
        """Shows none for the text as it is."""
        self._found = []


def _keys(ghosts: _Ghosts) -> KeyBindings:
    """Tab takes, up and down choose, Escape hides."""
    keys = KeyBindings()

    def take(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        shown = ghosts.get_suggestion(buffer, buffer.document)
        if shown:
            buffer.insert_text(shown.text)

    def choose(by: int) -> Callable[[KeyPressEvent], None]:
        def turn(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            ghosts.turn(by)
            buffer.suggestion = ghosts.get_suggestion(buffer, buffer.document)

        return turn

    def hide(event: KeyPressEvent) -> None:
        ghosts.hide()
        event.current_buffer.suggestion = None

    keys.add("tab")(take)
    keys.add("escape")(hide)
    keys.add("up")(choose(-1))
    keys.add("down")(choose(1))
    return keys
