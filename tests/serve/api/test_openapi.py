"""The OpenAPI document, and a fuzzer that believes it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from onward.serve.api.openapi import document
from onward.serve.http.limits import Limits

MOST_TOKENS = 100
"""Of a sample: 128 of the 16,384 that are allowed take longer than the 10 seconds that the fuzzer waits."""


def test_every_endpoint_is_in_it(server) -> None:
    told = server.client.get("/openapi.json").json()
    assert told == document(Limits())
    assert {"/v1/models", "/v1/completions", "/v1/score", "/v1/novelty", "/v1/sessions"} <= told[
        "paths"
    ].keys()
    for path, operations in told["paths"].items():
        for method in operations.keys() & {"get", "post", "delete"}:
            answer = server.client.request(method, path.replace("{id}", "small"), content=b"{")
            assert str(answer.status_code) in operations[method]["responses"], (method, path)


@pytest.mark.slow
def test_schemathesis_finds_no_server_error_and_no_answer_that_is_not_in_it(server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    for found in schema.get_all_operations():
        # not shrunk: an answer that takes too long would be waited for again and again
        @settings(
            max_examples=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[*HealthCheck],
        )
        @given(found.ok().as_strategy())
        def probe(case) -> None:
            if isinstance(case.body, dict) and isinstance(case.body.get("max_tokens"), int | float):
                case.body["max_tokens"] %= MOST_TOKENS  # 798.0 is a whole number, too
            # what one field allows may depend on another, which no schema can say
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        probe()


def test_a_stream_is_as_it_says(server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    body = {"prompt": "the ", "max_tokens": 3, "stream": True}
    answer = (
        schema["/v1/completions"]["POST"].Case(body=body, media_type="application/json").call_and_validate()
    )
    assert answer.headers["content-type"][0].startswith("text/event-stream")
