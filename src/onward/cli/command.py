"""Commands whose help shows the type of a value as a word: N, NUMBER, TEXT or PATH; flags have no type.

Typer shows Python types instead, such as `<list[str]>`, and `<bool>` even for a flag.
"""

from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

_WORDS = {"bool": "", "int": "N", "float": "NUMBER", "str": "TEXT", "Path": "PATH"}


class Command(TyperCommand):
    """A command whose help shows types as words."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _name_values(self.get_params(ctx))
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help shows types as words."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _name_values(self.get_params(ctx))
        super().format_help(ctx, formatter)


def _name_values(parameters: Iterable[Any]) -> None:
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda **_: ""  # the name of an argument is enough
        elif parameter.metavar is None:
            kind = parameter.bare_type().removeprefix("list[").removesuffix("]")
            parameter.metavar = _WORDS.get(kind)  # choices keep the list that Typer shows
