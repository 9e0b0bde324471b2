"""Request models: a wrong field is named, and defaults and limits apply."""

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.validation import (
    FROM_DIGITS,
    FROM_WORD,
    WHOLE,
    AtMost,
    RequestModel,
    read_model,
    read_query,
    schemas,
)

LIMITS = Limits(text_characters=3, choices=4)


class Asked(RequestModel):
    count: Annotated[int, Field(ge=0), WHOLE, AtMost("choices")] = 1
    share: float = Field(0.5, ge=0, le=5)
    flag: bool = False
    text: Annotated[str, AtMost("text_characters")] | None = None
    names: Annotated[list[Annotated[str, AtMost(2)]], AtMost(2)] | None = None
    only: Annotated[Literal[1], WHOLE] | None = None
    nothing: Annotated[dict[str, float], Field(max_length=0)] | None = None


def read(**fields: Any) -> Asked:
    return read_model(Asked, json.dumps(fields), LIMITS)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", True, "a whole number from 0 to 4, got True"),
        ("count", 5, "a whole number from 0 to 4, got 5"),
        ("count", -1, "a whole number from 0 to 4, got -1"),
        ("count", 1.5, "a whole number from 0 to 4, got 1.5"),
        ("count", "1", "a whole number from 0 to 4, got 1"),
        ("only", True, "1, got True"),
        ("only", 2, "1, got 2"),
        ("share", "1", "a number from 0 to 5, got 1"),
        ("share", False, "a number from 0 to 5, got False"),
        ("flag", 1, "true or false, got 1"),
        ("text", [], r"a text with at most 3 characters, got \[\]"),
        ("nothing", {"a": 1}, "an object with at most 0 fields, got {'a': 1}"),
        ("names", ["a", 1], "a list of texts with at most 2 characters \\(at most 2\\), got "),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any, expected: str) -> None:
    with pytest.raises(ApiError, match=f"^expected {name} to be {expected}") as caught:
        read(**{name: value})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_value", name)
    assert "/openapi.json" in caught.value.hint


@pytest.mark.parametrize("field", [{"text": "four"}, {"names": ["a", "b", "c"]}])
def test_a_text_or_list_that_is_too_long_is_too_large(field: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match=r"a length of at most \d, got \d") as caught:
        read(**field)
    assert (caught.value.status, caught.value.code) == (413, "too_large")


def test_missing_and_null_fields_have_the_default() -> None:
    assert read() == read(count=None, share=None, flag=None, text=None)
    assert read_model(Asked, b"", LIMITS).count == 1


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(
        ApiError, match="expected the fields count, flag, names, nothing, only, share, text, got c"
    ) as caught:
        read(c=1)
    assert caught.value.param == "c"


def test_a_whole_number_may_be_written_as_a_float() -> None:
    taken = read(count=3.0, only=1.0)
    assert [(each, type(each)) for each in (taken.count, taken.only)] == [(3, int), (1, int)]


def test_a_limit_counts_characters_even_of_unpaired_surrogates() -> None:
    assert read(text="\ud800ab").text == "\ud800ab"


class Query(RequestModel):
    after: Annotated[int, Field(ge=1), FROM_DIGITS] = 1
    stream: Annotated[bool, FROM_WORD] = False
    model: str | None = None


def test_a_query_is_read_from_strings_and_may_have_unknown_parameters() -> None:
    found = read_query(Query, {"after": "2", "stream": "true", "model": "3", "other": "x"}, LIMITS)
    assert found == Query(after=2, stream=True, model="3")


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "0"}, {"after": "-1"}, {"after": "1" * 17}, {"stream": "yes"}]
)
def test_a_wrong_parameter_of_a_query_is_named(query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        read_query(Query, query, LIMITS)
    assert caught.value.param == next(iter(query))


def test_the_schema_has_the_limits_of_the_server() -> None:
    _, definitions = schemas([(Asked, "validation")], LIMITS)
    schema = definitions["Asked"]
    assert schema["properties"]["count"] == {"default": 1, "maximum": 4, "minimum": 0, "type": "integer"}
    assert schema["properties"]["text"]["anyOf"][0]["maxLength"] == 3
    assert schema["additionalProperties"] is False
