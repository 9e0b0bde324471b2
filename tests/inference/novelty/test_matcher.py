"""Matches between a text and documents that are read piece by piece."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.inference.novelty.matcher import Matcher

NEWLINE = 3


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, NEWLINE), min_size=1, max_size=40),
    st.lists(st.integers(0, NEWLINE), max_size=40),
    st.integers(1, 8),
    st.integers(1, 50),
)
def test_matches_are_those_of_a_direct_search(
    text: list[int], document: list[int], minimum: int, piece: int
) -> None:
    matcher = Matcher(np.array(text), minimum=minimum, newline=NEWLINE)
    matcher.begin_document()
    for start in range(0, len(document), piece):
        matcher.read(np.array(document[start : start + piece]))
    for start, length in enumerate(matcher.longest.tolist()):
        longest = [common(text[start:], document[at:]) for at in range(len(document))]
        begins = [
            n
            for at, n in enumerate(longest)
            if n >= minimum and not (start and at and text[start - 1] == document[at - 1])
        ]
        assert length == max(begins, default=0)
        if length:
            number, position, line = matcher.origins[start].tolist()
            assert number == 0
            assert document[position : position + length] == text[start : start + length]
            assert line == document[:position].count(NEWLINE)


def common(one: list[int], other: list[int]) -> int:
    """The number of equal symbols at the beginning."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def test_matches_do_not_continue_in_the_next_document() -> None:
    matcher = Matcher(np.array([1, 2, 3, 4]), minimum=2, newline=10)
    for part in ([1, 2], [3, 4]):
        matcher.begin_document()
        matcher.read(np.array(part))
    assert matcher.longest.tolist() == [2, 0, 2, 0]
    assert matcher.origins[[0, 2], 0].tolist() == [0, 1]


def test_a_match_may_span_many_pieces() -> None:
    text = np.arange(100)
    matcher = Matcher(text, minimum=5, newline=50)
    matcher.begin_document()
    for start in range(0, 100, 3):
        matcher.read(text[start : start + 3])
    assert matcher.longest[0] == 100
    assert not matcher.longest[1:].any()
