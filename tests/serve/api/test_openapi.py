"""The OpenAPI document: it is valid, it describes every operation, and the server behaves as it says."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.serve.conftest import Server
from tests.serve.watched import BAD

Schema = dict[str, Any]

SLOW_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
MOST_TOKENS = 100
"""Symbols of a sample: 128 samples of the 16,384 that are allowed take longer than the fuzzer waits."""


@pytest.fixture(scope="module")
def document(server: Server) -> Schema:
    return server.client.get("/openapi.json").json()


def operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(document: Schema, schema: Schema) -> Schema:
    """Returns a schema without its first reference."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def check_answer(document: Schema, path: str, method: str, status: int, answer: Any) -> None:
    """Checks an answer against the schema in the document."""
    content = document["paths"][path][method]["responses"][str(status)]["content"]
    schema = content["application/json"]["schema"] | {"components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(answer)


def test_the_document_is_valid(document: Schema) -> None:
    validator: Any = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)


def test_every_schema_is_valid(document: Schema) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_every_operation_has_its_own_id_and_documented_responses(document: Schema) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids) > 15
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            assert status == "204" or response["content"], (method, path, status)
        has_body = "requestBody" in operation
        assert has_body == (method == "POST"), (method, path)


def test_every_operation_exists_and_answers_with_a_documented_status(
    server: Server, document: Schema
) -> None:
    for method, path, operation in operations(document):
        url = path.replace("{id}", "small").replace("{number}", "1")
        answer = server.client.request(method, url, content=b"{")
        assert answer.status_code != 405
        assert str(answer.status_code) in operation["responses"], (method, path)


def numbers(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Yields the path, the name and the schema of each field with limits that a body has without an id."""
    for method, path, operation in operations(document):
        if method != "POST" or "{" in path:
            continue
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        for name, field in resolved(document, body)["properties"].items():
            for schema in field.get("anyOf", [field]):
                if "maximum" in schema or "minimum" in schema:
                    yield path, name, schema


def test_the_server_accepts_the_documented_numbers_and_no_others(server: Server, document: Schema) -> None:
    base = {"/v1/novelty": {"text": "the lane"}}
    checked = 0
    for path, name, schema in numbers(document):
        for limit, outside in (("minimum", -1), ("maximum", 1)):
            if limit not in schema or name == "cursor":
                continue
            bound = schema[limit]
            large = name == "max_tokens" and limit == "maximum"
            if not large:  # it would take long to write
                answer = server.client.post(path, json=base.get(path, {}) | {name: bound})
                assert answer.is_success, (path, name, bound, answer.text)
            answer = server.client.post(path, json=base.get(path, {}) | {name: bound + outside})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, name), (path, name)
            checked += 1
    assert checked > 20


def test_defaults_are_what_a_missing_field_stands_for(server: Server, document: Schema) -> None:
    fields = document["components"]["schemas"]["CompletionRequest"]["properties"]
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    assert defaults["max_tokens"] == 16
    answers = [
        server.client.post("/v1/completions", json=body | {"seed": 1}).json()["choices"]
        for body in ({}, defaults)
    ]
    assert answers[0] == answers[1]


def test_examples_are_accepted(server: Server, document: Schema) -> None:
    for name, path in (
        ("CompletionRequest", "/v1/completions"),
        ("ScoreRequest", "/v1/score"),
        ("NoveltyRequest", "/v1/novelty"),
        ("SessionRequest", "/v1/sessions"),
    ):
        (example,) = document["components"]["schemas"][name]["examples"]
        assert server.client.post(path, json=example).is_success, name


def test_ids_of_symbols_have_no_maximum(document: Schema) -> None:
    kinds = document["components"]["schemas"]["CompletionRequest"]["properties"]["prompt"]["anyOf"]
    assert {"items": {"minimum": 0, "type": "integer"}, "minItems": 1, "type": "array"} in kinds


def test_answers_have_the_documented_form(server: Server, document: Schema) -> None:
    client = server.client
    requests: list[tuple[str, str, Any]] = [
        ("get", "/healthz", None),
        ("get", "/v1/models", None),
        ("get", "/v1/watch", None),
        ("post", "/v1/completions", {"prompt": "the ", "logprobs": 2, "echo": True, "n": 2}),
        ("post", "/v1/score", {"text": "the lane"}),
        ("post", "/v1/novelty", {"text": "the state goes on where the lane ended, and"}),
        ("post", "/v1/completions", {"n": 0}),
    ]
    for method, path, body in requests:
        answer = client.request(method, path, json=body)
        check_answer(document, path, method, answer.status_code, answer.json())
    for path in ("/v1/models/{id}", "/v1/models/{id}/curve"):
        answer = client.get(path.replace("{id}", "small"))
        check_answer(document, path, "get", 200, answer.json())
    made = client.post("/v1/sessions", json={"text": "the "})
    check_answer(document, "/v1/sessions", "post", 201, made.json())
    path, url = "/v1/sessions/{id}", f"/v1/sessions/{made.json()['id']}"
    check_answer(document, path, "get", 200, client.get(url).json())
    edited = client.post(f"{url}/edit", json={"insert": "s"}).json()
    check_answer(document, f"{path}/edit", "post", 200, edited)


def test_answers_about_alarms_have_the_documented_form(watch: Server, document: Schema) -> None:
    body = {"sequences": [{"events": BAD}], "lines": None, "verdicts": True}
    raised = watch.client.post("/v1/watch", json=body)
    check_answer(document, "/v1/watch", "post", 200, raised.json())
    (alarm,) = raised.json()["alarms"]
    check_answer(document, "/v1/watch", "get", 200, watch.client.get("/v1/watch").json())
    alarms = watch.client.get("/v1/watch/alarms").json()
    check_answer(document, "/v1/watch/alarms", "get", 200, alarms)
    incidents = watch.client.get("/v1/watch/incidents").json()
    check_answer(document, "/v1/watch/incidents", "get", 200, incidents)
    activity = watch.client.get("/v1/watch/activity").json()
    assert activity["timeline"] and activity["events"]
    check_answer(document, "/v1/watch/activity", "get", 200, activity)
    path, url = "/v1/watch/alarms/{number}", f"/v1/watch/alarms/{alarm['alarm']}"
    check_answer(document, path, "get", 200, watch.client.get(url).json())


@pytest.mark.slow
def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(server: Server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)

        # without shrinking, which would wait again and again for an answer that takes too long
        @settings(
            max_examples=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=SLOW_CHECKS,
        )
        @given(found.ok().as_strategy())
        def probe(case: Any) -> None:
            if isinstance(case.body, dict) and isinstance(case.body.get("max_tokens"), int | float):
                case.body["max_tokens"] %= MOST_TOKENS  # 798.0 is a whole number, too
            if isinstance(case.query, dict):
                case.query.pop("stream", None)  # a stream of alarms does not end
            # what one field allows may depend on another, which a schema cannot express
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        probe()


def test_a_stream_has_the_documented_media_type(server: Server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    body = {"prompt": "the ", "max_tokens": 3, "stream": True}
    answer = (
        schema["/v1/completions"]["POST"].Case(body=body, media_type="application/json").call_and_validate()
    )
    assert answer.headers["content-type"][0].startswith("text/event-stream")
