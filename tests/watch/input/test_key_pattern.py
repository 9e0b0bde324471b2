r"""Key patterns: the keys that Python's `re` finds, in linear time."""

import re
import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from onward.errors import InputError
from onward.watch.input.format import InputFormat
from onward.watch.input.key_pattern import LONGEST_PATTERN, SEARCHED, KeyPattern
from onward.watch.input.parsers import make_parser

LETTERS = "aB_1-\u00e9\u00df\u0661\u4e2d \u00a0["
ATOMS = st.sampled_from(
    [
        *"aB_1-.^${}", "\u00e9", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\A", r"\Z", r"\[",
        r"\_", "\\\u00e9", "[a1]", "[^a1]", r"[\w-]", r"[^\W\d_]", r"[\S]", "[]a]", "[^]a]", "[[a]",
        r"[\[\]]", r"[\u00df-\u00ea]", r"[\b]", r"[\_\-]", "(?i:B)", "(a)", "(?P<name>a)", "(?:a|b)",
        r"\u00e9", r"\x61", r"\101",
    ]
)  # fmt: skip
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,2}", "{,2}", "{1,}"])
PATTERNS = st.lists(st.tuples(ATOMS, REPEATS).map("".join), min_size=1, max_size=5).map("".join)


@pytest.mark.filterwarnings("ignore:Possible")
@settings(max_examples=1000, deadline=None)
@given(st.one_of(PATTERNS, st.tuples(PATTERNS, PATTERNS).map("|".join)), st.text(LETTERS, max_size=8))
@example(r"user=(\w+)", "user=m\u00fcller logged in")
@example(r"(x)?a", "a")
@example("[[:alpha:]]", ":]")
def test_the_key_is_the_one_that_python_finds(pattern: str, line: str) -> None:
    try:
        expected = re.search(pattern, line)
    except re.error:
        assume(False)
        return
    found = KeyPattern(pattern).find(line)
    if expected is None:
        assert found is None
    else:
        groups = expected.groups() or (expected.group(),)
        assert found == next((group for group in groups if group is not None), "")


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){12}$", r"(\w+\s?)+$", "(a?){25}a{25}$"]
)
def test_no_line_takes_more_than_linear_time(pattern: str) -> None:
    """Python's `re` would take longer than the universe has existed."""
    key_pattern, line = KeyPattern(pattern), "a" * (SEARCHED - 1) + "!"
    started = time.monotonic()
    assert not key_pattern.find(line)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "pattern",
    ["a(?=b)", "(?!a)b", "(?<=a)b", r"(a)\1", "(?P<x>a)(?P=x)", "a++", "(?>a)b", "(a)?(?(1)b|c)", "a{1001}"],
)
def test_a_pattern_that_needs_backtracking_is_refused_with_the_remedy(pattern: str) -> None:
    with pytest.raises(InputError, match="linear time") as refused:
        KeyPattern(pattern)
    assert repr(pattern) in str(refused.value)
    assert "RE2" in refused.value.hint


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "expected a regular expression"),
        ("(" * 900, "expected a regular expression"),
        ("a{99999999999999999999}", "expected a regular expression"),
        ("\ud800", "expected a regular expression"),
        (r"\pL", "expected a regular expression"),
        ("a" * (LONGEST_PATTERN + 1), "at most 1,000 characters, got 1,001"),
        ("(" * 300 + "a{1000}" + "){1000}" * 5 + ")" * 295, "linear time"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        InputFormat("log", key_regex=pattern)
    assert refused.value.hint
    assert str(refused.value).isprintable()


def test_only_the_start_of_a_line_is_searched() -> None:
    parser = make_parser(InputFormat("log", key_regex=r"id=(\d+)", symbols="templates"), None)
    assert KeyPattern(r"id=(\d+)").find("x" * (SEARCHED - 5) + "id=77") == "77"
    assert KeyPattern(r"id=(\d+)").find("x" * SEARCHED + "id=77") is None
    assert list(parser.records([b"x" * SEARCHED + b"id=77"])) == []
    assert "no match" in parser.unreadable.message()
