"""JSON bodies: written values can be read back, and everything else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.serve.http.errors import ApiError
from onward.serve.http.json_text import dump, parse, parse_object

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_dumped_values_parse_to_the_same(value: Any) -> None:
    assert parse(dump(value)) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_either_json_or_refused(raw: bytes) -> None:
    try:
        json.dumps(parse(raw), allow_nan=False)
    except ApiError as error:
        assert (error.status, error.code) == (400, "invalid_json")


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b"1e999", b"\xff", b"[" * 100_000, b"{}x"])
def test_a_body_that_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError, match="expected JSON in UTF-8, got an invalid body: ") as caught:
        parse(raw)
    assert "for example" in caught.value.hint


def test_an_empty_body_is_an_empty_object_and_a_list_is_refused() -> None:
    assert parse_object(b"") == {}
    with pytest.raises(ApiError, match="expected a JSON object, got a list"):
        parse_object(b"[]")


def test_an_unpaired_surrogate_is_escaped() -> None:
    assert dump({"a": "\ud800é"}) == b'{"a":"\\ud800\\u00e9"}'
