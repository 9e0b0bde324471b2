"""Fields of a JSON body: what is wrong is named, nothing wrong gets through."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onward.serve.http.fields import Fields, dump, parse

from onward.serve.http.errors import ApiError

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_is_dumped_is_parsed(value) -> None:
    assert parse(dump(value)) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    try:
        json.dumps(parse(raw), allow_nan=False)
    except ApiError as refusal:
        assert (refusal.status, refusal.code) == (400, "invalid_json")


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b"1e999", b"\xff", b"[" * 100_000, b"{}x"])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError, match="expected JSON in UTF-8, which the body is not: ") as caught:
        parse(raw)
    assert "for instance" in caught.value.hint


def test_half_a_pair_of_surrogates_is_escaped() -> None:
    assert dump({"a": "\ud800é"}) == b'{"a":"\\ud800\\u00e9"}'


@pytest.mark.parametrize(
    ("body", "take"),
    [
        ('{"a": true}', lambda fields: fields.integer("a", 1, 0, 5)),
        ('{"a": 6}', lambda fields: fields.integer("a", 1, 0, 5)),
        ('{"a": 1.5}', lambda fields: fields.integer("a", 1, 0, 5)),
        ('{"a": "1"}', lambda fields: fields.number("a", 1.0, 0, 5)),
        ('{"a": 1}', lambda fields: fields.flag("a")),
        ('{"a": []}', lambda fields: fields.text("a", longest=3)),
    ],
)
def test_a_wrong_value_is_named(body: str, take) -> None:
    with pytest.raises(ApiError, match="expected a ") as caught:
        take(Fields(body))
    assert (caught.value.status, caught.value.param) == (400, "a")
    assert "/openapi.json" in caught.value.hint


def test_null_and_nothing_are_the_default() -> None:
    for body in ("{}", '{"a": null}', ""):
        assert Fields(body).integer("a", 7, 0, 9) == 7


def test_what_is_too_long_is_too_large() -> None:
    with pytest.raises(ApiError) as caught:
        Fields('{"a": "four"}').text("a", longest=3)
    assert caught.value.status == 413


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ApiError, match="expected the fields a, b, got c"):
        Fields('{"c": 1}', ("b", "a"))


def test_a_whole_number_may_have_a_point() -> None:
    taken = Fields('{"a": 3.0}').integer("a", 1, 0, 5)
    assert (taken, type(taken)) == (3, int)
