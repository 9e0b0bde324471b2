"""The OpenAPI document, made from the operations and their models."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import JsonSchemaMode

from onward.serve.api.operation import BODY_ERRORS, LOOKUP_ERRORS, Operation
from onward.serve.api.responses import ErrorBody
from onward.serve.http.limits import Limits
from onward.serve.http.validation import Schema, schemas

_TOKEN_ERRORS = (401, 403)
_DESCRIPTION = "The HTTP API of onward. The guide is docs/guides/serve.md."


def openapi_document(operations: Sequence[Operation], limits: Limits) -> Schema:
    """Returns the document, with the limits of this server."""
    responses = [each.response for each in operations if each.response]
    requests = [model for each in operations for model in (each.body, each.query) if model]
    kinds: list[tuple[Any, JsonSchemaMode]] = []
    kinds.extend((kind, "serialization") for kind in (ErrorBody, *responses))
    kinds.extend((model, "validation") for model in requests)
    found, definitions = schemas(kinds, limits)
    known = {kind: schema for (kind, _), schema in zip(kinds, found, strict=True)}
    for query in {each.query for each in operations if each.query}:
        known[query] = definitions.pop(query.__name__)  # a query is a list of parameters, not a schema
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "onward", "version": version("onward"), "description": _DESCRIPTION},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, known: Mapping[Any, Schema]) -> Schema:
    described: Schema = {"operationId": operation.id, "summary": operation.summary}
    if parameters := [*_path_parameters(operation), *_query_parameters(operation, known)]:
        described["parameters"] = parameters
    if operation.body:
        content = {"application/json": {"schema": known[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = _responses(operation, known)
    return described


def _path_parameters(operation: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in operation.path_parameters.items()
    ]


def _query_parameters(operation: Operation, known: Mapping[Any, Schema]) -> list[Schema]:
    if operation.query is None:
        return []
    parameters = []
    for name, schema in known[operation.query]["properties"].items():
        field = {key: value for key, value in schema.items() if key not in ("description", "default")}
        if "anyOf" in field:  # a query has no null
            (field,) = [kind for kind in field["anyOf"] if kind != {"type": "null"}]
        default = {"default": schema["default"]} if schema.get("default") is not None else {}
        parameters.append(
            {
                "name": name,
                "in": "query",
                "description": schema.get("description", ""),
                "schema": field | default,
            }
        )
    return parameters


def _responses(operation: Operation, known: Mapping[Any, Schema]) -> Schema:
    success: Schema = {"description": "Success."}
    content: Schema = {}
    if operation.response:
        content["application/json"] = {"schema": known[operation.response]}
    for media_type in operation.media_types:
        content[media_type] = {"schema": {"type": "string"}}
    if operation.streams:  # without a schema, since it would describe the whole stream, not an event
        content["text/event-stream"] = {}
    if content:
        success["content"] = content
    error = {"description": "An error.", "content": {"application/json": {"schema": known[ErrorBody]}}}
    statuses = {*operation.errors, *_TOKEN_ERRORS, *(BODY_ERRORS if operation.body else ())}
    if operation.path_parameters or operation.body or operation.query:
        statuses.update(LOOKUP_ERRORS)
    return {str(operation.status): success} | {str(status): error for status in sorted(statuses)}
