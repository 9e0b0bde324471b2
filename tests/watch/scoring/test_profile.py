"""What occurred in normal sequences, by hand."""

import json
from itertools import pairwise

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END, UNKNOWN
from onward.watch.scoring import profile as module
from onward.watch.scoring.profile import Profile, counts_of, pairs_of

A, B, C, SYMBOLS = 4, 5, 6, 7


def of(*sequences: list[int]) -> Sequences:
    return Sequences.of(np.array(sequence, np.int64) for sequence in sequences)


NORMAL = of([A, B], [A, B, A, B], [A])


def test_pairs_begin_with_begin_and_end_with_end():
    pairs = [divmod(code, SYMBOLS) for code in pairs_of(of([A, B], [], [C]), SYMBOLS).tolist()]
    assert pairs == [(BEGIN, A), (A, B), (B, END), (BEGIN, END), (BEGIN, C), (C, END)]
    assert len(pairs_of(of(), SYMBOLS)) == 0


def test_counts_are_how_often_and_have_an_end():
    counts = counts_of(of([A, A, C], [], [B] * 70_000), SYMBOLS)
    assert counts[:, [A, B, C]].tolist() == [[2, 0, 1], [0, 0, 0], [0, 65_535, 0]]
    assert counts.sum() == 3 + 65_535


@pytest.mark.parametrize(
    ("ids", "new"),
    [
        ([A, B], 0),
        ([A, B, A], 0),
        ([B], 1),  # B never begins
        ([], 1),  # no sequence is empty
        ([A, UNKNOWN, B], 2),  # unknown, and B behind it
        ([A, A], 1),
        ([C, C], 3),
    ],
)
def test_new_is_what_never_occurred_or_never_behind_that(ids: list[int], new: int) -> None:
    profile = Profile.of(NORMAL, SYMBOLS)
    assert profile.new_in(of([A], ids, [A, B])).tolist() == [0, new, 0]
    path = [BEGIN, *ids, END]
    assert sum(profile.is_new(a, b) for a, b in pairwise(path)) == new


def test_the_nearest_counts_and_their_distance():
    profile = Profile.of(NORMAL, SYMBOLS)
    asked = counts_of(of([B, A], [A, A, A, B, B, C], [], [C] * 9), SYMBOLS)
    distances, places = profile.nearest(asked)
    assert distances.tolist() == [0.0, 2.0, 1.0, 10.0]
    assert profile.counts[places][:, [A, B]].tolist() == [[1, 1], [2, 2], [1, 0], [1, 0]]


def test_the_counts_that_differ_from_those_of_a_place():
    profile = Profile.of(NORMAL, SYMBOLS)
    counts = counts_of(of([A, A, A, A, A, C], [A, B]), SYMBOLS)
    place = int(profile.nearest(counts)[1][1])
    assert profile.differences(counts[0], place, 3) == [(A, 5, 1), (B, 0, 1), (C, 1, 0)]
    assert profile.differences(counts[0], place, 1) == [(A, 5, 1)]
    assert profile.differences(counts[1], place, 3) == []


def test_of_many_counts_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COUNTS", 10)
    profile = Profile.of(of(*([A] * i for i in range(50))), SYMBOLS)
    kept = profile.counts[:, A].tolist()
    assert len(kept) == 10 and kept == sorted(set(kept))
    assert kept != list(range(10))


def test_plain_values_hold_all_of_it():
    profile = Profile.of(NORMAL, SYMBOLS)
    again = Profile.from_json(json.loads(json.dumps(profile.to_json())))
    assert again.pairs.tolist() == profile.pairs.tolist()
    assert again.counts.tolist() == profile.counts.tolist()
    assert again.symbols == SYMBOLS


def test_unknown_is_new_though_it_was_learned_from():
    profile = Profile.of(of([A, UNKNOWN]), SYMBOLS)
    assert profile.new_in(of([A, UNKNOWN])).tolist() == [1]
    assert profile.is_new(A, UNKNOWN) and not profile.is_new(UNKNOWN, END)
