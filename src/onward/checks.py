"""Configuration classes: dataclasses that check their values when an object is created.

    @checked_dataclass(RecipeError, kw_only=True)
    class Settings:
        lanes: Annotated[int, Field(ge=1, le=1024)] = 64
        decay: Literal["linear", "none"] = "linear"
        top_k: Annotated[int, Field(ge=1), Hint("leave it out to keep all symbols")] | None = None

        @model_validator(mode="after")
        def _check_decay(self) -> "Settings":  # not Self, which beartype refuses in a dataclass
            if ...:
                raise RecipeError("...", hint="...")
            return self

    Settings(lanes=0)    # RecipeError: lanes must be a whole number from 1 to 1024, got 0

pydantic checks the values in strict mode: True is not a whole number, "3" is not a number, a list is not a
tuple, and NaN and infinity are refused. A whole number is accepted where a number is expected, and becomes a
float. A rule that involves several fields is a `model_validator` that raises one of our errors.

Messages do not mention None as an allowed value, because it means "not given". Annotations are read when the
class is created, so the names in them must be imported at run time.
"""

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin

from pydantic import ConfigDict, Field, ValidationError
from pydantic import dataclasses as pydantic_dataclasses

from onward.errors import InputError
from onward.printable import shown_value

_Class = TypeVar("_Class", bound=type)

_CONFIG = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True)

_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
}

_WRONG_CALLS = {
    "missing",
    "missing_argument",
    "missing_keyword_only_argument",
    "missing_positional_only_argument",
    "multiple_argument_values",
    "unexpected_keyword_argument",
    "unexpected_positional_argument",
}
"""pydantic's names for calls that do not fit the signature. Python raises TypeError for such calls."""


@dataclass(frozen=True)
class Hint:
    """The hint of a field's error. It is part of the field's `Annotated`."""

    text: str


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def checked_dataclass(
    error: type[InputError] = InputError, *, kw_only: bool = False
) -> Callable[[_Class], _Class]:
    """Returns a decorator that makes a class a frozen dataclass with checked values.

    Args:
        error: the error to raise if a value has the wrong type or is outside the field's limits.
        kw_only: whether all fields are keyword arguments.
    """

    def decorate(cls: _Class) -> _Class:
        made: Any = pydantic_dataclasses.dataclass(cls, frozen=True, kw_only=kw_only, config=_CONFIG)
        validate = made.__init__

        @wraps(validate)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                validate(self, *map(_plain, args), **{name: _plain(value) for name, value in kwargs.items()})
            except ValidationError as refusal:
                raise _first_error(made, refusal, error) from None

        made.__init__ = init
        return made

    return decorate


def _plain(value: Any) -> Any:
    """Converts a NumPy scalar to a Python number, which strict mode requires; leaves other values alone."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _first_error(cls: Any, refusal: ValidationError, error: type[InputError]) -> Exception:
    """Returns the error to raise for the first problem that pydantic found."""
    first = refusal.errors(include_url=False)[0]
    if first["type"] in _WRONG_CALLS:
        return TypeError(f"{cls.__name__}: {first['msg']} ({first['loc'][0]})")
    name, *path = first["loc"]
    if isinstance(name, int):  # the index of a positional argument
        name = list(cls.__pydantic_fields__)[name]
    field = cls.__pydantic_fields__[name]
    hints = [mark.text for mark in _marks(field.annotation, field.metadata) if isinstance(mark, Hint)]
    steps = [step for step in path if isinstance(step, int)]
    where = f"{name}{''.join(f'[{step}]' for step in steps)}"
    expected = _describe(field.annotation, field.metadata, depth=len(steps))
    return error(f"{where} must be {expected}, got {shown_value(first['input'])}", hint="".join(hints[:1]))


def _marks(kind: Any, marks: Sequence[Any]) -> list[Any]:
    """Returns all metadata of an annotation, including that of a union's members."""
    if get_origin(kind) is Annotated:
        kind, *inner = get_args(kind)
        return _marks(kind, [*inner, *marks])
    if get_origin(kind) in (Union, types.UnionType):
        return [*marks, *(mark for member in get_args(kind) for mark in _marks(member, []))]
    return list(marks)


def _describe(kind: Any, marks: Sequence[Any], depth: int = 0) -> str:
    """Returns the values that an annotation allows, in words.

    Args:
        kind: the annotation.
        marks: its metadata.
        depth: how many collections to look into: 1 describes the items of a tuple.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _describe(arguments[0], [*arguments[1:], *marks], depth)
    if origin in (Union, types.UnionType):
        members = [member for member in arguments if member is not type(None)]
        return " or ".join(_describe(member, marks, depth) for member in members)
    if origin is Literal:
        *others, last = map(str, arguments)
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (tuple, list):
        return _describe(arguments[0], marks, depth - 1) if depth else f"a {origin.__name__}"
    text = _KINDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"
    return f"{text}{_describe_limits(_limits(marks))}" if kind in (int, float, str) else text


def _limits(marks: Sequence[Any]) -> dict[str, Any]:
    """Returns the limits among metadata by pydantic's names: ge, gt, le, lt, min_length."""
    found: dict[str, Any] = {}
    for mark in marks:
        for part in getattr(mark, "metadata", None) or [mark]:  # Field(ge=1) holds its limits one level down
            for name in ("ge", "gt", "le", "lt", "min_length"):
                if getattr(part, name, None) is not None:
                    found[name] = getattr(part, name)
    return found


def _describe_limits(limits: dict[str, Any]) -> str:
    """Returns the range of a number or the minimum length of a text, in words that follow the type."""
    shown = {name: f"{limit:g}" if isinstance(limit, float) else str(limit) for name, limit in limits.items()}
    match shown:
        case {"ge": least, "le": most}:
            text = f"from {least} to {most}"
        case {"ge": least, "lt": end}:
            text = f"from {least} to below {end}"
        case {"gt": start, "lt": end}:
            text = f"between {start} and {end}"
        case {"gt": start, "le": most}:
            text = f"above {start} and at most {most}"
        case {"ge": least}:
            text = f"of {least} or more"
        case {"gt": start}:
            text = f"above {start}"
        case {"le": most}:
            text = f"of at most {most}"
        case {"lt": end}:
            text = f"below {end}"
        case {"min_length": "1"}:
            text = "of one character or more"
        case {"min_length": length}:
            text = f"of {length} characters or more"
        case _:
            text = ""
    return text and f" {text}"
