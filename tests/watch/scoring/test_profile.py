"""A profile, compared with values computed by hand."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END, UNKNOWN
from onward.watch.scoring.profile import MOST_COUNTS, Profile, counts_of, pairs_of

A, B, C, SYMBOLS = 4, 5, 6, 7


def sequences_of(*sequences: list[int]) -> Sequences:
    return Sequences.of(np.array(sequence, np.int64) for sequence in sequences)


NORMAL = sequences_of([A, B], [A, B, A, B], [A])


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.of(NORMAL, SYMBOLS)


def test_pairs_start_with_begin_and_end_with_end() -> None:
    codes = pairs_of(sequences_of([A, B], [], [C]), SYMBOLS)
    pairs = [divmod(code, SYMBOLS) for code in codes.tolist()]
    assert pairs == [(BEGIN, A), (A, B), (B, END), (BEGIN, END), (BEGIN, C), (C, END)]
    assert len(pairs_of(sequences_of(), SYMBOLS)) == 0


def test_counts_stop_at_65_535() -> None:
    counts = counts_of(sequences_of([A, A, C], [], [B] * 70_000), SYMBOLS)
    assert counts[:, [A, B, C]].tolist() == [[2, 0, 1], [0, 0, 0], [0, 65_535, 0]]
    assert counts.sum() == 3 + 65_535


@pytest.mark.parametrize(
    ("ids", "new"),
    [
        ([A, B], 0),
        ([A, B, A], 0),
        ([B], 1),  # no normal sequence starts with B
        ([], 1),  # no normal sequence is empty
        ([A, UNKNOWN, B], 2),  # the unknown event, and B after it
        ([A, A], 1),
        ([C, C], 3),
    ],
)
def test_an_event_is_new_if_it_or_its_pair_did_not_occur(ids: list[int], new: int, profile: Profile) -> None:
    assert profile.count_new(sequences_of([A], ids, [A, B])).tolist() == [0, new, 0]
    assert sum(profile.is_new(a, b) for a, b in pairwise([BEGIN, *ids, END])) == new


def test_the_nearest_counts_and_their_distance(profile: Profile) -> None:
    counts = counts_of(sequences_of([B, A], [A, A, A, B, B, C], [], [C] * 9), SYMBOLS)
    distances, places = profile.nearest(counts)
    assert distances.tolist() == [0.0, 2.0, 1.0, 10.0]
    assert profile.counts[places][:, [A, B]].tolist() == [[1, 1], [2, 2], [1, 0], [1, 0]]


def test_the_events_whose_counts_differ(profile: Profile) -> None:
    counts = counts_of(sequences_of([A, A, A, A, A, C], [A, B]), SYMBOLS)
    place = int(profile.nearest(counts)[1][1])
    assert profile.differences(counts[0], place, 3) == [(A, 5, 1), (B, 0, 1), (C, 1, 0)]
    assert profile.differences(counts[0], place, 1) == [(A, 5, 1)]
    assert profile.differences(counts[1], place, 3) == []


def test_a_sample_of_many_count_vectors_is_kept() -> None:
    profile = Profile.of(sequences_of(*([A] * i + [B] * j for i in range(46) for j in range(46))), SYMBOLS)
    kept = {(int(row[A]), int(row[B])) for row in profile.counts}
    assert len(kept) == len(profile.counts) == MOST_COUNTS
    assert max(kept) > (44, 0)  # not just the first ones


def test_a_profile_is_extended_by_a_sequence(profile: Profile) -> None:
    ended, open_ = (profile.extend(sequences_of([A, C]), ended=ended) for ended in (True, False))
    assert not ended.is_new(A, C)
    assert not open_.is_new(A, C)
    assert not ended.is_new(C, END)
    assert open_.is_new(C, END)
    assert (len(ended.counts), len(open_.counts)) == (len(profile.counts) + 1, len(profile.counts))
    assert profile.is_new(A, C)


def test_the_unknown_event_is_new_even_if_it_occurred_in_training() -> None:
    profile = Profile.of(sequences_of([A, UNKNOWN]), SYMBOLS)
    assert profile.count_new(sequences_of([A, UNKNOWN])).tolist() == [1]
    assert profile.is_new(A, UNKNOWN)
    assert not profile.is_new(UNKNOWN, END)


def test_json_restores_the_profile(profile: Profile) -> None:
    again = Profile.from_json(json.loads(json.dumps(profile.to_json())), SYMBOLS)
    assert again.pairs.tolist() == profile.pairs.tolist()
    assert again.counts.tolist() == profile.counts.tolist()
    assert again.symbols == SYMBOLS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": 10**12}, "expected a profile for 7 symbols"),
        ({"symbols": True}, "symbols"),
        ({"pairs": [49]}, "below 49"),
        ({"pairs": [3, 2]}, "ascend"),
        ({"pairs": 10**12}, "expected a list"),
        ({"counts": []}, "vectors of counts"),
        ({"counts": [[[4], [1]]] * 20_001}, "vectors of counts"),
        ({"counts": [[[7], [1]]]}, "below 7"),
        ({"counts": [[[-1], [1]]]}, "from 0 to below 7"),
        ({"counts": [[[4, 4], [1, 1]]]}, "ascend"),
        ({"counts": [[[4], [0]]]}, "counts from 1 to 65,535"),
        ({"counts": [[[4], [65_536]]]}, "counts from 1 to 65,535"),
        ({"counts": [[[4], [1, 2]]]}, "a count for each event"),
        ({"counts": [[[4]]]}, "counts"),
        ({"counts": [[[4], [1.5]]]}, "whole numbers"),
    ],
)
def test_data_that_does_not_fit_is_refused(change: dict[str, Any], message: str, profile: Profile) -> None:
    with pytest.raises(ValueError, match=message):
        Profile.from_json(profile.to_json() | change, SYMBOLS)
