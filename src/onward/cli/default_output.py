"""The file that a command writes if the user names none."""

from pathlib import Path

from onward.data.corpus import STANDARD_INPUT
from onward.errors import InputError


def default_output(source: str) -> Path:
    """Returns the name of the first source with our suffix, in the current folder.

    Raises:
        InputError: the source has no name, or is a pattern.
    """
    stem = Path(source).resolve().stem
    if source == STANDARD_INPUT or not stem or any(sign in stem for sign in "*?["):
        raise InputError(f"cannot derive a model name from {source!r}", hint="name the model file with -o")
    return Path(f"{stem}.onward")
