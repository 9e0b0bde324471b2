"""Commands whose help says what a person has to write, not what type of Python's it becomes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from typer.core import TyperCommand, TyperGroup

_WORDS = {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}


class Command(TyperCommand):
    """A command."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help."""
        _say_what_is_written(self.get_params(ctx))
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A command that has others."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help."""
        _say_what_is_written(self.get_params(ctx))
        super().format_help(ctx, formatter)


def _say_what_is_written(parameters: Sequence[Any]) -> None:
    """Behind an option a word for its value, none behind a flag; an argument has its name."""
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda **_: ""
        elif parameter.metavar is None:
            parameter.metavar = "" if parameter.is_flag else _word(parameter.type_descriptor.annotation)


def _word(kind: Any) -> str | None:
    """For a value of a type, or of a list of it; None: Typer says it, as it does of a choice."""
    kinds = get_args(kind) if isinstance(kind, type(list[int])) else (kind,)
    return _WORDS.get(kinds[0])
