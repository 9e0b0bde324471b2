"""Matches between a text and documents that are read piece by piece."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.inference.novelty.matcher import MatchedSpans, Matcher

NEWLINE = 3
SYMBOLS = st.lists(st.integers(0, NEWLINE), max_size=40)


def found(text: list[int], documents: list[list[int]], minimum: int, piece: int = 100) -> MatchedSpans:
    matcher = Matcher(np.array(text, np.uint32), minimum=minimum, newline=NEWLINE)
    for document in documents:
        matcher.begin_document()
        for start in range(0, len(document), piece):
            matcher.read(np.array(document[start : start + piece]))
    return matcher.finish()


@settings(max_examples=100, deadline=None)
@given(SYMBOLS, st.lists(SYMBOLS, max_size=3), st.integers(1, 8), st.integers(1, 50))
def test_spans_are_those_of_a_direct_search(
    text: list[int], documents: list[list[int]], minimum: int, piece: int
) -> None:
    spans = found(text, documents, minimum, piece)
    assert [*zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True)] == direct(
        text, documents, minimum
    )
    for start, length, origin in zip(*(part.tolist() for part in spans), strict=True):
        number, position, line = origin
        run = text[start : start + length]
        assert (number, position) == next(place for place in places(run, documents))
        assert line == documents[number][:position].count(NEWLINE)


def direct(text: list[int], documents: list[list[int]], minimum: int) -> list[tuple[int, int]]:
    """Returns the starts and lengths of the spans."""
    matched = {
        (start, stop)
        for start in range(len(text))
        for stop in range(start + minimum, len(text) + 1)
        if places(text[start:stop], documents)
    }
    spans = {(a, b) for a, b in matched if not {(a - 1, b), (a, b + 1)} & matched}
    return [(start, stop - start) for start, stop in sorted(spans)]


def places(run: list[int], documents: list[list[int]]) -> list[tuple[int, int]]:
    """Returns the documents and positions at which a run occurs."""
    return [
        (number, at)
        for number, document in enumerate(documents)
        for at in range(len(document) - len(run) + 1)
        if document[at : at + len(run)] == run
    ]


def test_matches_do_not_continue_in_the_next_document() -> None:
    spans = found([1, 2, 4, 5], [[1, 2], [4, 5]], 2)
    assert spans.starts.tolist() == [0, 2]
    assert spans.lengths.tolist() == [2, 2]
    assert spans.origins.tolist() == [[0, 0, 0], [1, 0, 0]]


def test_a_match_may_span_many_pieces() -> None:
    text = [*range(10, 110)]
    spans = found(text, [text], 5, piece=3)
    assert spans.starts.tolist() == [0]
    assert spans.lengths.tolist() == [100]
