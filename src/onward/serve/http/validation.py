"""Request models: pydantic checks the fields, and the same models document them.

Types are strict, except that a whole number may be written as 3.0. A field that is missing or null has its
default. A limit that differs between servers has a name in the model (`AtMost("max_tokens")`); the check and
the schema read its value from `Limits`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from onward.serve.http.errors import FIELDS_HINT, ApiError, invalid_value, shortened
from onward.serve.http.json_text import parse_object
from onward.serve.http.limits import Limits

Schema = dict[str, Any]
ModelT = TypeVar("ModelT", bound="RequestModel")

REFERENCE = "#/components/schemas/{model}"

_LIMIT = "limit"  # the key of a placeholder in a schema: {"maximum": {"limit": "max_tokens"}}
_TOO_LONG = "longer_than_limit"  # pydantic's own too_long has another context
_KEYWORDS = {"string": "maxLength", "array": "maxItems"}
_UNITS = {"imum": "", "Length": "characters", "Properties": "fields"}
_PLURALS = {"string": "texts", "integer": "whole numbers", "number": "numbers"}


@dataclass(frozen=True)
class AtMost:
    """The largest number, or the greatest length of a text or list, that a field accepts.

    Args:
        limit: a number, or the name of a field of `Limits`.
    """

    limit: int | str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        found = handler(schema)
        limit = {_LIMIT: self.limit} if isinstance(self.limit, str) else self.limit
        return found | {_KEYWORDS.get(found["type"], "maximum"): limit}

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        limit = getattr(info.context, self.limit) if isinstance(self.limit, str) else self.limit
        if isinstance(value, int | float):
            if value > limit:
                raise PydanticCustomError("too_large", "the number is too large")
        elif len(value) > limit:
            found = {"limit": limit, "size": len(value)}
            raise PydanticCustomError(_TOO_LONG, "the value is too long", found)
        return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool):  # for Python, and so for pydantic's literals, true is 1
        raise PydanticCustomError("not_a_number", "the value is not a number")
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Accepts 3.0 as the whole number 3, since they are the same number in JSON, and no boolean."""


def _from_digits(value: Any) -> Any:
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17
    return int(value) if is_number else value


def _from_word(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value)


FROM_DIGITS = BeforeValidator(_from_digits)
"""Reads a whole number from a query."""

FROM_WORD = BeforeValidator(_from_word)
"""Reads true or false from a query."""

ModelName = Annotated[
    str | None, Field(description="Id of a model. Default: the first model.", examples=["nietzsche"])
]


class RequestModel(BaseModel):
    """A request body or query. Unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}


def read_model(model: type[ModelT], body: bytes | str, limits: Limits) -> ModelT:
    """Checks a JSON body.

    Raises:
        ApiError: the body is not JSON, or a field is wrong; the message names the first wrong field.
    """
    values = parse_object(body)
    try:
        return model.model_validate(values, context=limits)
    except ValidationError as error:
        raise _refusal(model, values, error, limits) from None


def read_query(model: type[ModelT], query: Mapping[str, str], limits: Limits) -> ModelT:
    """Checks the parameters of a query. Unknown parameters are ignored.

    Raises:
        ApiError: a parameter is wrong.
    """
    values = {name: value for name, value in query.items() if name in model.model_fields}
    try:
        return model.model_validate(values, context=limits)
    except ValidationError as error:
        raise _refusal(model, values, error, limits) from None


def schemas(kinds: Sequence[tuple[Any, JsonSchemaMode]], limits: Limits) -> tuple[list[Schema], Schema]:
    """Returns the JSON schema of each type, and the definitions that they refer to."""
    adapters: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
        (number, mode, TypeAdapter(kind)) for number, (kind, mode) in enumerate(kinds)
    ]
    found, rest = TypeAdapter.json_schemas(adapters, ref_template=REFERENCE, schema_generator=_Untitled)
    inputs = [_resolved(found[number, mode], limits) for number, mode, _ in adapters]
    return inputs, _resolved(rest.get("$defs", {}), limits)


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles of fields: they only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _resolved(value: Any, limits: Limits) -> Any:
    """Replaces the placeholders in a schema with the limits of this server."""
    if isinstance(value, list):
        return [_resolved(each, limits) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_LIMIT}:
        return getattr(limits, value[_LIMIT])
    return {name: _resolved(each, limits) for name, each in value.items()}


def _refusal(
    model: type[RequestModel], values: Mapping[str, Any], error: ValidationError, limits: Limits
) -> ApiError:
    """Returns the error for the first wrong field."""
    errors = error.errors(include_url=False, include_input=False)
    name = str(errors[0]["loc"][0])
    if errors[0]["type"] == "extra_forbidden" and len(errors[0]["loc"]) == 1:
        known = ", ".join(sorted(model.model_fields))
        message = f"expected the fields {known}, got {shortened(name)}"
        return ApiError(400, "invalid_value", message, param=shortened(name), hint=FIELDS_HINT)
    if too_long := _too_long(name, errors):
        return too_long
    return invalid_value(name, expectation(model, name, limits), values.get(name))


def _too_long(name: str, errors: Sequence[ErrorDetails]) -> ApiError | None:
    """Returns the error for a text or list that is too long, if that is the only thing wrong."""
    error = errors[0]
    if len(errors) > 1 or error["type"] != _TOO_LONG or len(error["loc"]) > 1:
        return None
    found = error.get("ctx", {})
    message = f"expected {name} to have a length of at most {found['limit']:,}, got {found['size']:,}"
    return ApiError(413, "too_large", message, param=name, hint="send it in parts, as several requests")


def expectation(model: type[RequestModel], name: str, limits: Limits) -> str:
    """Describes in words what a field of a model accepts."""
    return _expectations(model, limits)[name]


@cache
def _expectations(model: type[RequestModel], limits: Limits) -> dict[str, str]:
    """Describes what each field of a model accepts."""
    (schema,), definitions = schemas([(model, "validation")], limits)
    if "$ref" in schema:
        schema = definitions[model.__name__]
    return {name: _described(field, definitions) for name, field in schema["properties"].items()}


def _described(schema: Schema, definitions: Schema) -> str:
    """Describes in words what a schema accepts."""
    if "$ref" in schema:
        return _described(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        kinds = [_described(each, definitions) for each in schema["anyOf"] if each != {"type": "null"}]
        return kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return " or ".join(json.dumps(value) for value in values)
    match schema.get("type"):
        case "integer" | "number" | "string" as kind:
            described = {"integer": "a whole number", "number": "a number", "string": "a text"}[kind]
        case "array":
            return ("a non-empty " if schema.get("minItems") else "a ") + _list(schema, definitions)
        case "boolean":
            described = "true or false"
        case _:
            described = "an object"
    return described + _bounds(schema)


def _list(schema: Schema, definitions: Schema) -> str:
    largest = f" (at most {schema['maxItems']})" if "maxItems" in schema else ""
    items = schema["items"]
    if items.get("type") == "array":
        return f"list of {_list(items, definitions).replace('list', 'lists', 1)}{largest}"
    return f"list of {_PLURALS.get(items.get('type'), 'objects')}{_bounds(items)}{largest}"


def _bounds(schema: Schema) -> str:
    for suffix, unit in _UNITS.items():
        low, high = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
        if low is not None and high is not None:
            return f" from {low} to {high}" if not unit else f" with {low} to {high} {unit}"
        if low is not None or high is not None:
            bound = f"at least {low}" if high is None else f"at most {high}"
            return f" of {bound}" if not unit else f" with {bound} {unit}"
    return ""
