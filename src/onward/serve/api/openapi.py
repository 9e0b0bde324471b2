"""The endpoints as an OpenAPI document."""

from importlib.metadata import version
from typing import Any

from onward.serve.http.limits import Limits
from onward.serve.watch.alarm_feed import RECENT

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}


def document(limits: Limits) -> Schema:
    """The document, with the bounds of this server."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "onward", "version": version("onward"), "description": "See docs/guides/serve.md."},
        "security": [{}, {"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": _paths(limits),
    }


def _paths(limits: Limits) -> Schema:
    session = [_in_path("id", "of a session")]
    model = [_in_path("id", "of a model")]
    return {
        "/healthz": {"get": _operation("Whether the server runs.", (200, 503))},
        "/metrics": {"get": _operation("Counts, for Prometheus.", (200,), kind="text/plain")},
        "/openapi.json": {"get": _operation("This document.", (200,))},
        "/v1/models": {"get": _operation("The models.", (200,))},
        "/v1/models/{id}": {"parameters": model, "get": _operation("What is known of a model.", (200, 404))},
        "/v1/models/{id}/curve": {
            "parameters": model,
            "get": _operation("Its losses in training.", (200, 404)),
        },
        "/v1/completions": {"post": _posting("Writes on.", _completions(limits), (200,))},
        "/v1/score": {"post": _posting("How surprising each symbol is.", _score(limits), (200,))},
        "/v1/novelty": {"post": _posting("What stands in the corpus.", _novelty(limits), (200,))},
        "/v1/sessions": {"post": _posting("Begins to type.", _session(limits), (201,))},
        "/v1/sessions/{id}": {
            "parameters": session,
            "get": _operation("The text, and what is expected.", (200, 404, 410, 429, 503)),
            "delete": _operation("Ends a session.", (204, 404, 410)),
        },
        "/v1/sessions/{id}/edit": {
            "parameters": session,
            "post": _posting("Changes the text.", _edit(limits), (200, 409, 410)),
        },
        **_watch_paths(limits),
    }


def _watch_paths(limits: Limits) -> Schema:
    model = _in_query("model", _TEXT)
    alarm = [_in_path("number", "of an alarm"), model]
    summary = "The last alarms, or those behind a number; with stream=true as they come, without an end."
    told = _operation(summary, (200, 400, 404, 429))  # a tool that tries parameters would wait for the end
    bounds = {"after": _whole(0, 1 << 53), "limit": _whole(1, RECENT)}
    told["parameters"] = [model, *(_in_query(name, schema) for name, schema in bounds.items())]
    return {
        "/v1/watch": {
            "get": _operation("What was watched: rates asked and observed, drift.", (200,)),
            "post": _posting("Reads records, and tells the alarms.", _batch(limits), (200, 409)),
        },
        "/v1/watch/alarms": {"get": told},
        "/v1/watch/alarms/{number}": {
            "parameters": alarm,
            "get": _operation("An alarm, with the surprise of each event.", (200, 404, 429)),
        },
        "/v1/watch/alarms/{number}/ok": {
            "parameters": alarm,
            "post": _posting("Learns that this was normal.", _object(), (200, 409)),
        },
    }


def _operation(summary: str, statuses: tuple[int, ...], *, kind: str = "application/json") -> Schema:
    """An operation, with its answers: those above 399 are errors."""
    statuses = tuple(sorted({*statuses, 401, 403}))
    answers: Schema = {}
    for status in statuses:
        told: Schema = {"description": "An error." if status >= 400 else "What was asked for."}
        if status != 204:
            content: Schema = {"schema": _error() if status >= 400 else {}}
            told["content"] = {"application/json" if status >= 400 else kind: content}
        answers[str(status)] = told
    return {"summary": summary, "responses": answers}


def _posting(summary: str, schema: Schema, statuses: tuple[int, ...]) -> Schema:
    """An operation with a body."""
    operation = _operation(summary, (*statuses, 400, 404, 408, 413, 429, 503))
    if summary == "Writes on.":  # without a schema: that of a text would be taken for that of each event
        operation["responses"]["200"]["content"]["text/event-stream"] = {}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation | {"requestBody": body}


def _completions(limits: Limits) -> Schema:
    ids = {"type": "array", "minItems": 1, "items": _whole(0, 3)}
    texts = {"type": "array", "minItems": 1, "maxItems": limits.choices, "items": _TEXT}
    stop = {"type": "string", "minLength": 1, "maxLength": 1000}
    return {
        "type": "object",
        "properties": {
            "model": _TEXT,
            "prompt": {"anyOf": [_TEXT, texts, ids, {"type": "array", "minItems": 1, "items": ids}]},
            "max_tokens": _whole(0, limits.max_tokens),
            "temperature": _NUMBER | {"minimum": 0, "maximum": 100},
            "top_p": _NUMBER | {"minimum": 0, "maximum": 1},
            "n": _whole(1, limits.choices),
            "seed": {"type": "integer"},
            "stop": {"anyOf": [stop, {"type": "array", "maxItems": 16, "items": stop}]},
            "logprobs": _whole(0, 20),
            "echo": _FLAG,
            "stream": _FLAG,
        },
    }


def _score(limits: Limits) -> Schema:
    return _object(model=_TEXT, text=_long(limits), alternatives=_whole(0, 20))


def _novelty(limits: Limits) -> Schema:
    size = _whole(1, limits.text_characters)
    return _object(model=_TEXT, text=_long(limits), minimum=size, longest=_whole(0, 1000))


def _session(limits: Limits) -> Schema:
    return _object(model=_TEXT, text=_long(limits), cursor=_whole(0), adapt=_FLAG, **_wishes())


def _batch(limits: Limits) -> Schema:
    most = {"type": "array", "maxItems": limits.batch_records}
    time = {"type": ["number", "string", "null"]}
    record = _object(key=_TEXT, event=_TEXT, time=time, last=_FLAG) | {"required": ["key", "event"]}
    sequence = _object(key=_TEXT, events={"type": "array", "minItems": 1, "items": _TEXT})
    kinds = {"lines": _TEXT, "records": record, "sequences": sequence | {"required": ["events"]}}
    lists = {kind: most | {"items": item} for kind, item in kinds.items()}
    name = {"type": "string", "maxLength": 200}
    return _object(model=_TEXT, idempotency_key=name, verdicts=_FLAG, end=_FLAG, **lists)


def _edit(limits: Limits) -> Schema:
    place = {"at": _whole(0), "delete": _whole(0), "cursor": _whole(0), "version": _whole(0)}
    return _object(insert=_long(limits), forget=_FLAG, **place, **_wishes())


def _wishes() -> dict[str, Schema]:
    until = {"anyOf": [{"enum": ["word", "line"]}, _whole(1, 100)]}
    return {"completions": _whole(0, 20), "until": until, "shortest": _whole(1, 100), "next": _whole(0, 100)}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _whole(smallest: int, largest: int | None = None) -> Schema:
    return {"type": "integer", "minimum": smallest} | ({} if largest is None else {"maximum": largest})


def _long(limits: Limits) -> Schema:
    return {"type": "string", "maxLength": limits.text_characters}


def _in_path(name: str, of: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "description": f"The id {of}.", "schema": _TEXT}


def _in_query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _error() -> Schema:
    nullable = {"type": ["string", "null"]}
    told = {"message": _TEXT, "type": _TEXT, "param": nullable, "code": _TEXT, "hint": _TEXT}
    error = {"type": "object", "required": [*told], "properties": told}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
