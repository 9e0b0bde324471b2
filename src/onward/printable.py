"""Text from files, logs, requests and models, made safe to show on a terminal.

A terminal obeys control characters: escape sequences move the cursor or change the title or the clipboard,
and bidirectional controls reorder the text that a person sees. `str.isprintable` is false for all of these.
"""

import json
import reprlib
from typing import Any

_LONGEST = 200
_VALUES = reprlib.Repr()
_VALUES.maxstring = _VALUES.maxother = _VALUES.maxlong = 100


def printable(text: str, keep: str = "") -> str:
    r"""Returns the text with each non-printable character escaped as in Python source: "\x1b", "\u202e".

    Args:
        text: text of unknown origin.
        keep: non-printable characters that stay, such as "\n".
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text)


def printable_json(data: Any) -> str:
    r"""Returns data as JSON on one line, with each non-printable character as its JSON escape: "\u001b".

    A reader of the JSON gets the characters themselves.

    Raises:
        ValueError: the data contain NaN or an infinity.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def without_controls(text: str, keep: str = "\n\t") -> str:
    """Replaces each non-printable character with U+FFFD, except those to keep. The length does not change."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def shown(content: object) -> str:
    """Returns the beginning of a text of any length, for a message. Non-printable characters are escaped."""
    text = str(content)
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def shown_value(value: object) -> str:
    """Returns the `repr` of a value of any size and depth, abridged for a message."""
    return printable(_VALUES.repr(value))
