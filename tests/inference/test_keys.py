"""What is shown saves the most keys, counted over all that could follow."""

import re
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.inference.keys import most_keys

TEXTS = st.text("ab ", min_size=1, max_size=7).map(lambda text: text.strip() + ".").filter(lambda t: t > ".")


def found_in(texts: dict[str, float]) -> list[tuple[str, float]]:
    """Each beginning that ends with a word, and how probable it is, where just these texts may follow."""
    chances: dict[str, float] = {}
    for text, chance in texts.items():
        for end in [found.end() for found in re.finditer(r"\w+", text)]:
            chances[text[:end]] = chances.get(text[:end], 0.0) + chance
    return [*chances.items()]


def saved(texts: dict[str, float], shown: list[str]) -> float:
    """Keys that one who takes the longest that is right saves, in the mean."""
    total = 0.0
    for text, chance in texts.items():
        right = [len(one) for one in shown if re.match(re.escape(one) + r"(?!\w)", text)]
        total += chance * (max(right, default=1) - 1)
    return total


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, st.integers(1, 9), min_size=1, max_size=6))
def test_no_other_choice_is_much_better(weights: dict[str, int]) -> None:
    texts = {text: weight / sum(weights.values()) for text, weight in weights.items()}
    found = found_in(texts)
    one, two = ([text for text, _ in most_keys(found, n)] for n in (1, 2))
    best_one = max(saved(texts, [text]) for text, _ in found)
    best_two = max((saved(texts, [*each]) for each in combinations(dict(found), 2)), default=best_one)
    assert saved(texts, one) == pytest.approx(best_one)
    assert two[0] == one[0]
    assert saved(texts, two) >= 0.75 * best_two - 1e-9  # what a greedy choice of two must reach (1 - 1/4)


def test_a_sure_long_one_comes_before_a_likelier_short_one() -> None:
    found = [(" he", 0.4), (" heretofore", 0.2), (" he is", 0.1)]
    assert most_keys(found, 3) == [(" heretofore", 0.2), (" he", 0.4), (" he is", 0.1)]


def test_what_goes_on_from_one_that_is_shown_adds_only_the_rest() -> None:
    # by itself " new world order" would save 1.8 keys, behind " new world" it saves 0.7
    found = [(" new world", 0.25), (" new world order", 0.12), (" old", 0.3)]
    assert [text for text, _ in most_keys(found, 2)] == [" new world", " old"]


def test_no_more_are_chosen_than_there_are() -> None:
    assert most_keys([("a", 0.5)], 3) == [("a", 0.5)]
    assert most_keys([], 3) == []
