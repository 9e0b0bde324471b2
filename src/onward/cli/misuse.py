"""What was wrong with a command line, in the words of all other errors."""

from typing import Any, Literal, get_args, get_origin

import typer


def misuse(error: typer.TyperException) -> str:
    """The message: what an option should have been, and what was received."""
    parameter = getattr(error, "param", None)
    match error.__cause__:
        case ValueError(errors=errors) if parameter is not None:  # pydantic's, which typer converts with
            expected, received = _expected(parameter), errors()[0]["input"]
            if expected:
                return f"expected {_name(parameter)} to be {expected}, got {received!r}"
        case _:
            pass
    return error.format_message()


def _name(parameter: Any) -> str:
    """As a person writes it: the long form of an option."""
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.metavar


def _expected(parameter: Any) -> str:
    """What values a parameter takes; "" if that is not a number or one of a few."""
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"{', '.join(others)} or {last}"
    if kind not in (int, float):
        return ""
    number, least, most = "a whole number" if kind is int else "a number", parameter.min, parameter.max
    if least is None:
        return number if most is None else f"{number} of at most {most}"
    return f"{number} of {least} or more" if most is None else f"{number} from {least} to {most}"
