"""What a model may be written over."""

from collections.abc import Iterable
from pathlib import Path

from onward.artefact import is_model
from onward.errors import InputError


def refuse_to_replace(output: Path, sources: Iterable[Path]) -> None:
    """Refuses to write a model over a text that it is learned from, or over a file that is no model of ours.

    Raises:
        InputError: with the file that would be lost.
    """
    if not output.is_file():
        return
    if any(output.samefile(source) for source in sources if source.exists()):
        raise InputError(
            f"{output} is a source: the model would replace it", hint="name another file with -o"
        )
    if not is_model(output):
        told = f"{output} is there, and is no model of onward: it would be lost"
        raise InputError(told, hint="name another file with -o, or delete it first")
