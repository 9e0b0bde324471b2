"""The suffix automaton: both implementations find the longest match that ends at each symbol."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.inference.novelty.automaton import Automaton, CompiledAutomaton, ReferenceAutomaton, available

NEWLINE = 2
IMPLEMENTATIONS = [
    ReferenceAutomaton,
    pytest.param(
        CompiledAutomaton, marks=pytest.mark.skipif(not available, reason="the C code was not built")
    ),
]
SYMBOLS = st.lists(st.integers(0, NEWLINE), max_size=30)


def ending(text: list[int], end: int, documents: list[list[int]], minimum: int) -> tuple[int, int, int]:
    """Returns the longest match that ends at a symbol of a text, where it ends first, and the line there."""
    for length in range(end, minimum - 1, -1):
        before = lines = 0
        for document in documents:
            for stop in range(length, len(document) + 1):
                if length and document[stop - length : stop] == text[end - length : end]:
                    return length, before + stop, lines + document[:stop].count(NEWLINE)
            before, lines = before + len(document), lines + document.count(NEWLINE)
    return 0, 0, 0


def walked(automaton: Automaton, documents: list[list[int]], piece: int) -> Automaton:
    for document in documents:
        automaton.begin_document()
        for start in range(0, len(document), piece):
            automaton.read(np.array(document[start : start + piece]))
    return automaton


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@settings(max_examples=200, deadline=None)
@given(
    text=SYMBOLS,
    documents=st.lists(SYMBOLS, max_size=3),
    minimum=st.integers(1, 5),
    piece=st.integers(1, 40),
)
def test_matches_are_those_of_a_direct_search(
    implementation: type[CompiledAutomaton] | type[ReferenceAutomaton],
    text: list[int],
    documents: list[list[int]],
    minimum: int,
    piece: int,
) -> None:
    automaton = implementation(np.array(text, np.uint32), minimum=minimum, newline=NEWLINE)
    found = walked(automaton, documents, piece).finish()
    for end, (length, *place) in enumerate(zip(*(part.tolist() for part in found), strict=True), 1):
        expected = ending(text, end, documents, minimum)
        assert (length if length >= minimum else 0) == expected[0]
        if expected[0]:
            assert (length, *place) == expected


@pytest.mark.skipif(not available, reason="the C code was not built")
def test_both_implementations_agree_on_many_symbols() -> None:
    chance = np.random.default_rng(0)
    text = chance.integers(0, 2**32 - 8, 300, np.uint32)[chance.integers(0, 300, 3000)]
    documents = [text[500:900], chance.permutation(text), np.tile(text[:7], 100)]
    found = []
    for implementation in (ReferenceAutomaton, CompiledAutomaton):
        automaton = implementation(text, minimum=2, newline=int(text[0]))
        for document in documents:
            automaton.begin_document()
            automaton.read(document)
        lengths, *places = automaton.finish()
        found.append([lengths, *(np.where(lengths >= 2, place, 0) for place in places)])
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0][0].max() == 400


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("name", "period"), [("equal", 1), ("alternating", 2)])
def test_repetitions_take_linear_time(
    implementation: type[CompiledAutomaton] | type[ReferenceAutomaton], name: str, period: int
) -> None:
    size = 20_000
    text = np.arange(size, dtype=np.uint32) % period
    automaton = implementation(text, minimum=1, newline=9)
    automaton.begin_document()
    automaton.read(np.arange(5 * size, dtype=np.uint32) % period)
    assert automaton.finish().lengths.tolist() == [*range(1, size + 1)]
