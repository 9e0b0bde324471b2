"""The continuations given are those that going through all of them would find."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.data.vocabulary import END, Vocabulary
from onward.errors import InputError
from onward.inference.completion import search_states as waves
from onward.inference.completion.options import Completing
from onward.inference.completion.search import complete
from onward.inference.trained_model import TrainedModel

ALL = {"floor": 0.0, "effort": 100_000}


def by_hand(trained: TrainedModel, prime: str, text: str, ends: str | None) -> float:
    """The probability that the text follows, and after it one of `ends` or END; None: whatever follows."""
    session = trained.session()
    session.feed(prime)
    nats = session.feed(text).sum()
    last = session.next_distribution()
    ending = 1.0 if ends is None else float(last.probabilities[END]) + sum(last[symbol] for symbol in ends)
    return float(np.exp(-nats)) * ending


@settings(max_examples=10, deadline=None)
@given(st.text("abcdefgh .,\n", max_size=8))
def test_a_word_has_the_probability_of_itself_and_of_what_ends_it(trained: TrainedModel, prime: str) -> None:
    found = trained.complete(prime, n=4)
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    assert len({one.text for one in found}) == len(found)
    for one in found:
        assert re.fullmatch(r"\W*\w+|\W+", one.text)
        marks = " .,\n" if re.search(r"\w", one.text) else ""  # marks alone are ended by END alone
        assert one.probability == pytest.approx(by_hand(trained, prime, one.text, marks), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_likelier_is_left_out(make, seed: int) -> None:
    trained = make(seed=seed)
    found = trained.complete("ab", n=6, until=2, lanes=16)
    every = {a + b: by_hand(trained, "ab", a + b, None) for a in "abcdefgh .,\n" for b in "abcdefgh .,\n"}
    best = sorted((p for p in every.values()), reverse=True)[:6]
    assert found.exact
    two = [one for one in found if len(one.text) == 2]
    np.testing.assert_allclose([one.probability for one in two], best[: len(two)], rtol=1e-3)
    for one in two:
        assert one.probability == pytest.approx(every[one.text], rel=1e-3)


@pytest.mark.parametrize("shortest", [2, 4])
def test_short_ones_take_no_place_of_longer_ones(trained: TrainedModel, shortest: int) -> None:
    every = [one for one in trained.complete("a", n=400, **ALL) if len(one.text) >= shortest]
    found = trained.complete("a", n=6, shortest=shortest, floor=0.0, effort=100_000)
    assert found.exact
    assert [one.text for one in found] == [one.text for one in every[:6]]
    assert [one.text for one in found] != [one.text for one in trained.complete("a", n=6, **ALL)]


def test_less_effort_says_that_it_is_less_sure(trained: TrainedModel) -> None:
    sure, unsure = trained.complete("a", n=10, **ALL), trained.complete("a", n=10, floor=0.0, effort=1)
    assert sure.exact
    assert not unsure.exact
    assert sure[0].probability >= unsure[0].probability
    assert unsure.steps < sure.steps
    again = trained.complete("a", n=10, floor=0.0, effort=5000, lanes=1)
    assert [one.text for one in again] == [one.text for one in sure]


def test_a_floor_leaves_out_what_is_less_likely(trained: TrainedModel) -> None:
    floor = trained.complete("a", n=10, **ALL)[4].probability
    found = trained.complete("a", n=10, floor=floor * 0.999, effort=100_000)
    assert (len(found), found.exact) == (5, True)


def test_lines_and_lengths_end_where_they_should(trained: TrainedModel) -> None:
    for one in trained.complete("ab", until="line", n=3):
        assert one.text
        assert "\n" not in one.text
    for one in trained.complete("ab", until="line", n=3, lanes=64)[:1]:
        assert one.probability == pytest.approx(by_hand(trained, "ab", one.text, "\n"), rel=1e-3)
    assert all(len(one.text) <= 5 for one in trained.complete("ab", until=5))


@pytest.mark.parametrize("wish", [{"until": 6, "lanes": 30}, {"until": "word", "n": 5, "effort": 3}])
def test_what_takes_several_steps_is_what_one_step_would_find(
    trained: TrainedModel, wish: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []
    for prime in ("ab", "bad cab, ", "h", "\n.", "fed "):
        session = trained.session()
        session.feed(prime)
        places.append(session.begun(Completing(**wish)))
    stepper = trained.session()._stepper
    whole = complete(stepper, trained.vocabulary, places)
    monkeypatch.setattr(waves, "FEW_LANES", 7)  # waves are longer, and the cuts fall within them
    cut = complete(stepper, trained.vocabulary, places)
    for ours, theirs in zip(cut, whole, strict=True):
        assert ours.best
        assert [one.text for one in ours] == [one.text for one in theirs]
        np.testing.assert_allclose(
            [one.probability for one in ours], [one.probability for one in theirs], rtol=1e-3
        )


def test_a_session_completes_from_where_it_is_and_stays_there(trained: TrainedModel) -> None:
    session = trained.session()
    session.feed("abc de")
    before = session.next_distribution().probabilities
    found, more = session.complete(n=3), session.complete("ad", n=3)
    np.testing.assert_array_equal(session.next_distribution().probabilities, before)
    assert session.position == 6
    for ours, theirs in ((found, trained.complete("abc de", n=3)), (more, trained.complete("abc dead", n=3))):
        assert [one.text for one in ours] == [one.text for one in theirs]
        np.testing.assert_allclose(
            [one.probability for one in ours], [one.probability for one in theirs], rtol=1e-3
        )


def test_a_begun_word_goes_on_where_words_are_symbols(make) -> None:
    vocabulary = Vocabulary.of_text("phil philosophy philology the of . ,", "words")
    trained = make(vocabulary)
    found = trained.complete("the philo", n=5, **ALL)
    assert {"sophy", "logy"} <= {one.text for one in found}
    session = trained.session()
    session.feed("the ")
    chances = session.next_distribution()
    among = chances["philosophy"] + chances["philology"]
    session.feed("philosophy")
    ends = session.next_distribution()
    ending = sum(ends[mark] for mark in " .,") + float(ends.probabilities[END])
    (sophy,) = [one for one in found if one.text == "sophy"]
    assert sophy.probability == pytest.approx(chances["philosophy"] / among * ending, rel=1e-3)
    assert trained.complete("the zzz", n=3, **ALL).best  # unknown words are read as such


def test_bytes_make_whole_characters(make) -> None:
    trained = make(Vocabulary.of_bytes())
    for until in ("word", 3):
        for one in trained.complete(b"caf" + b"\xc3", until=until, n=5, floor=0.0, effort=200):
            assert "\ufffd" not in one.text
            assert "\u00c0" <= one.text[0] <= "\u00ff"


@pytest.mark.parametrize("wrong", [{"n": 0}, {"until": 0}, {"until": True}, {"floor": 1.0}, {"effort": 0}])
def test_what_cannot_be_completed_is_refused(trained: TrainedModel, wrong: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        trained.complete("a", **wrong)


@pytest.mark.parametrize("seed", range(2))
def test_who_asks_for_few_gets_the_first_of_many(make, seed: int) -> None:
    trained = make(seed=seed)
    fewer = []
    for until, effort, prime in product(("word", "line", 6), (64, 10), ("ab", "fed ")):
        wish = {"until": until, "effort": effort, "floor": 0.0}
        ten = trained.complete(prime, n=10, **wish)
        for n in (1, 3, 5):
            found = trained.complete(prime, n=n, **wish)
            assert list(found) == list(ten[:n])
            fewer.append(found.steps < ten.steps)
    assert any(fewer)  # it ends sooner where it can
