"""Text from files, logs and models, made safe to show on a terminal.

A terminal obeys control characters: escape sequences move the cursor or change the title or the clipboard,
and bidirectional controls reorder the text that a person sees. `str.isprintable` is false for all of these.
"""

import reprlib

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


def without_controls(text: str, keep: str = "\n\t") -> str:
    """Replaces each non-printable character by U+FFFD, except those to keep. The length does not change."""
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
