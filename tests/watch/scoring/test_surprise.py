"""The mixture of two predictors, and the surprise of whole sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.watch.scoring.surprise import NO_SURPRISE, TOP, Mixture, Surprise

RNG = np.random.default_rng(0)
LENGTHS = np.array([1, 3, 4, 9, 2])
BITS = RNG.exponential(2.0, LENGTHS.sum())


def test_totals_and_tops_are_those_of_each_sequence() -> None:
    found = Surprise.of(BITS, LENGTHS)
    for place, bits in enumerate(np.split(BITS, np.cumsum(LENGTHS)[:-1])):
        highest = sorted(bits.tolist(), reverse=True)[:TOP]
        assert found.totals[place] == pytest.approx(bits.sum())
        assert found.tops[place].tolist() == pytest.approx(highest + [0.0] * (TOP - len(highest)))


def test_a_sequence_that_is_read_event_by_event_has_the_same_surprise() -> None:
    running = []
    for bits in np.split(BITS, np.cumsum(LENGTHS)[:-1]):
        sequence = NO_SURPRISE
        for each in bits.tolist():
            sequence = sequence.add(each)
        running.append(sequence)
    joined, whole = Surprise.join(running), Surprise.of(BITS, LENGTHS)
    np.testing.assert_allclose(joined.totals, whole.totals)
    np.testing.assert_allclose(joined.tops, whole.tops)


def test_no_sequences_have_no_surprise() -> None:
    for found in (Surprise.of(np.zeros(0), np.zeros(0, np.int64)), Surprise.join([])):
        assert (found.totals.shape, found.tops.shape) == ((0,), (0, TOP))


@given(st.floats(0.05, 0.95))
def test_the_mixture_is_at_least_as_good_as_each_predictor(share: float) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.exponential(1.0, 500), rng.exponential(1.0, 500)
    is_good = rng.random(500) < share
    model, ngram = np.where(is_good, first, first + 5), np.where(is_good, second + 5, second)
    mixture = Mixture.of(model, ngram)
    assert mixture.bits_per_event <= min(model.mean(), ngram.mean())
    assert mixture.bits(model, ngram).mean() == pytest.approx(mixture.bits_per_event)
    for weight in (0.2, 0.5, 0.8):
        assert mixture.bits_per_event <= Mixture(weight, 0.0).bits(model, ngram).mean() + 1e-3


def test_a_useless_predictor_gets_no_weight() -> None:
    good = RNG.exponential(1.0, 300)
    assert Mixture.of(good, good + 9).weight > 0.99
    assert Mixture.of(good + 9, good).weight < 0.01
