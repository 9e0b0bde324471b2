"""Which continuations to show, so that taking the right one saves the most keys.

Taking a continuation costs one key in place of as many as it is long. Of those shown one takes the longest that
is right. If " new world" is right, so is " new": what the longer one adds is the difference of their lengths.
So those shown are expected to save

    sum over them of  p * (length - length of the longest other one that it goes on from, or else 1).
"""

import re
from collections.abc import Sequence
from heapq import nlargest

_CONSIDERED = 32  # continuations that save the most by themselves: others are hardly ever chosen
_LETTER = re.compile(r"\w")

Found = tuple[str, float]
"""A continuation and its probability."""


def most_keys(found: Sequence[Found], n: int) -> list[Found]:
    """At most `n` of the continuations, each the one that adds most to those before it.

    Args:
        found: continuations that end with a word, no text twice; the probability of one includes that of
            those that go on from it.
        n: how many to choose.
    """
    left = nlargest(max(n, _CONSIDERED), found, key=lambda one: _added(one, []))
    chosen: list[Found] = []
    while left and len(chosen) < n:
        best = max(left, key=lambda one: _added(one, chosen))
        left.remove(best)
        chosen.append(best)
    return chosen


def _added(one: Found, shown: Sequence[Found]) -> float:
    """Keys that showing this one as well is expected to save."""
    text, probability = one
    base = max((len(other) for other, _ in shown if _goes_on(text, other)), default=1)
    longer = [(other, p) for other, p in shown if _goes_on(other, text)]
    # where a longer one is right this one saves nothing; of those that go on from each other the first counts
    taken = sum(p for other, p in longer if not any(_goes_on(other, between) for between, _ in longer))
    return (probability - taken) * (len(text) - base)


def _goes_on(longer: str, text: str) -> bool:
    """Whether one continuation is another and more words: not "there" and "the"."""
    return len(longer) > len(text) and longer.startswith(text) and not _LETTER.match(longer, len(text))
