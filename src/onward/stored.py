"""Schemas of what files hold: exact types, finite numbers, and no other fields.

    class _Header(StoredModel):
        format: Literal[1]
        rate: Annotated[float, Field(gt=0, lt=1)]

    with refusing_damage(f"the header of {path}", hint="make it again"):
        header = _Header.model_validate(json.loads(text))

A file may come from anywhere. So everything in it is checked before it is used, sizes above all, and each
problem is an `ArtefactError` that names the field.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from onward.errors import ArtefactError, OnwardError
from onward.printable import shown, shown_value


def _paired(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("expected text that UTF-8 can hold, found an unpaired surrogate")
    return text


Text = Annotated[str, AfterValidator(_paired)]
"""Text that can be written to any file."""


AsTuple = BeforeValidator(lambda data: tuple(data) if isinstance(data, list) else data)
"""Lets a JSON list be a tuple, which strict mode would refuse."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A whole number that float64 holds exactly."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""Any number but infinity and NaN, such as a time in a log."""

LARGEST = 1e100
"""The largest number that a file may hold, so that sums and products of a few numbers stay finite."""

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
"""A number that stays finite in products and sums with others."""


class StoredModel(BaseModel):
    """A JSON object in a file."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


def checked(schema: Any, value: Any) -> Any:
    """Returns a value as an object of a type that pydantic knows, such as `Count`.

    Raises:
        ValueError: the value does not have this type.
    """
    return _validator(schema).validate_python(value, strict=True)


def whole_number(value: Any) -> int:
    """Returns a value that is a whole number of 0 or more; else raises ValueError."""
    return checked(Count, value)


@cache
def _validator(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


@contextmanager
def refusing_damage(what: str, hint: str) -> Iterator[None]:
    """Turns the errors that checks raise in the block into ArtefactError.

    These are ValueError (pydantic's and json's errors are ValueErrors), RecursionError, and errors of onward.

    Args:
        what: what is damaged, for the message.
        hint: the remedy.
    """
    try:
        yield
    except (ValueError, RecursionError, OnwardError) as error:
        raise ArtefactError(f"{what} is damaged: {describe(error)}", hint=hint) from error


def describe(error: Exception) -> str:
    """Returns the first problem of an error on one line, without control characters."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, ValidationError):
        return shown(error)
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    problem = first["msg"].removeprefix("Value error, ")
    found = "nothing" if first["type"] == "missing" else shown_value(first["input"])
    return shown(f"{where}: {problem}, found {found}" if where else f"{problem}, found {found}")
