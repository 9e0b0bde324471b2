import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.inference.novelty.matcher import Matcher, _Powers


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 8))
def test_runs_have_the_same_hash_wherever_they_stand(symbols: list[int], k: int) -> None:
    powers = _Powers.of_length(50)
    found = powers.hashes(powers.sums(np.array(symbols, np.uint32)), k)
    runs = [tuple(symbols[i : i + k]) for i in range(len(symbols) - k + 1)]
    assert len(found) == len(runs)
    assert len(set(found.tolist())) == len(set(runs))
    for i, run in enumerate(runs):
        assert found[i] == found[runs.index(run)]


def test_matches_do_not_cross_from_one_document_to_the_next() -> None:
    matcher = Matcher(np.array([1, 2, 3, 4]), minimum=2, newline=10)
    for part in ([1, 2], [3, 4]):
        matcher.begin_document()
        matcher.read(np.array(part))
    assert matcher.longest.tolist() == [2, 0, 2, 0]
    assert matcher.origins[[0, 2], 0].tolist() == [0, 1]


def test_what_is_open_is_followed_through_many_pieces() -> None:
    text = np.arange(100)
    matcher = Matcher(text, minimum=5, newline=50)
    matcher.begin_document()
    for start in range(0, 100, 3):
        matcher.read(text[start : start + 3])
    assert matcher.longest[0] == 100
    assert not matcher.longest[1:].any()
