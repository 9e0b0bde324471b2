"""Completions equal those of an exhaustive search."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import Maker

import onward
from onward.data.vocabulary import END, Vocabulary
from onward.errors import InputError
from onward.inference.completion import search_states
from onward.inference.completion.options import CompleteOptions, Completion, Completions
from onward.inference.completion.search import complete
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel

EXHAUSTIVE: dict[str, Any] = {"floor": 0.0, "effort": 100_000}


def probability_of(trained: TrainedModel, prime: str, text: str, ends: str | None) -> float:
    """The probability of a text after the prime, followed by one of `ends` or END, or by anything."""
    session = trained.session(memory=0)
    session.feed(prime)
    nats = session.feed(text).sum()
    last = session.next_distribution()
    ending = 1.0 if ends is None else float(last.probabilities[END]) + sum(last[symbol] for symbol in ends)
    return float(np.exp(-nats)) * ending


def texts(found: Completions | tuple[Completion, ...] | list[Completion]) -> list[str]:
    return [one.text for one in found]


def assert_same(found: Completions, expected: Completions) -> None:
    assert texts(found) == texts(expected)
    np.testing.assert_allclose(
        [one.probability for one in found], [one.probability for one in expected], rtol=1e-3
    )


@settings(max_examples=10, deadline=None)
@given(st.text("abcdefgh .,\n", min_size=1, max_size=8))
def test_a_word_has_the_probability_of_its_symbols_and_its_end(trained: TrainedModel, prime: str) -> None:
    found = trained.complete(prime, memory=0, n=4, **EXHAUSTIVE)
    assert len(found) == 4
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    assert len(set(texts(found))) == 4
    for one in found:
        assert re.fullmatch(r"\W*\w+|\W+", one.text)
        marks = " .,\n" if re.search(r"\w", one.text) else ""  # punctuation without a word only ends at END
        assert one.probability == pytest.approx(probability_of(trained, prime, one.text, marks), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_no_likelier_continuation_is_missed(make: Maker, seed: int) -> None:
    trained = make(seed=seed)
    found = trained.complete("ab", memory=0, n=6, until=2, lanes=16)
    symbols = "abcdefgh .,\n"
    expected = {a + b: probability_of(trained, "ab", a + b, None) for a, b in product(symbols, repeat=2)}
    expected |= {a: probability_of(trained, "ab", a, "") for a in symbols}  # ended by END
    best = sorted(expected, key=lambda text: -expected[text])[:6]
    assert found.exact
    assert texts(found) == best
    for one in found:
        assert one.probability == pytest.approx(expected[one.text], rel=1e-3)


@pytest.mark.parametrize("shortest", [2, 4])
def test_short_continuations_do_not_displace_longer_ones(trained: TrainedModel, shortest: int) -> None:
    expected = [
        one for one in trained.complete("a", memory=0, n=400, **EXHAUSTIVE) if len(one.text) >= shortest
    ]
    found = trained.complete("a", memory=0, n=6, shortest=shortest, **EXHAUSTIVE)
    assert found.exact
    assert len(found) == 6
    assert texts(found) == texts(expected[:6])
    assert texts(found) != texts(trained.complete("a", memory=0, n=6, **EXHAUSTIVE))


def test_a_search_with_little_effort_is_not_exact(trained: TrainedModel) -> None:
    exact = trained.complete("a", memory=0, n=10, **EXHAUSTIVE)
    short = trained.complete("a", memory=0, n=10, floor=0.0, effort=1)
    assert exact.exact
    assert not short.exact
    assert exact[0].probability >= short[0].probability
    assert short.steps < exact.steps
    one_by_one = trained.complete("a", memory=0, n=10, floor=0.0, effort=5000, lanes=1)
    assert texts(one_by_one) == texts(exact)


def test_continuations_below_the_floor_are_left_out(trained: TrainedModel) -> None:
    floor = trained.complete("a", memory=0, n=10, **EXHAUSTIVE)[4].probability
    found = trained.complete("a", memory=0, n=10, floor=floor * 0.999, effort=100_000)
    assert (len(found), found.exact) == (5, True)


def test_lines_end_before_the_line_end(trained: TrainedModel) -> None:
    found = trained.complete("ab", memory=0, until="line", n=3, lanes=64)
    assert len(found) == 3
    for one in found:
        assert one.text
        assert "\n" not in one.text
        assert one.probability == pytest.approx(probability_of(trained, "ab", one.text, "\n"), rel=1e-3)


@pytest.mark.slow
def test_lines_of_a_text_from_windows_end_before_the_carriage_return(tmp_path: Path) -> None:
    text = tmp_path / "windows.txt"
    text.write_bytes(b"the cat sat\r\nthe dog ran\r\n" * 200)
    model = onward.train(text, recipe="tiny", steps=40)
    found = texts(model.complete("the cat", until="line"))
    assert found
    assert not {"\r", "\n"} & set("".join(found))


def test_lengths_end_after_their_symbols_or_at_the_end_of_the_text(trained: TrainedModel) -> None:
    found = trained.complete("ab", memory=0, until=5)
    assert len(found) == 5
    assert max(map(len, texts(found))) == 5
    for one in found:
        ends = None if len(one.text) == 5 else ""
        assert one.probability == pytest.approx(probability_of(trained, "ab", one.text, ends), rel=1e-3)


@pytest.mark.parametrize("options", [{"until": 6, "lanes": 30}, {"until": "word", "n": 5, "effort": 3}])
def test_searches_may_need_several_steps_for_one_expansion(
    trained: TrainedModel, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []
    for prime in ("ab", "bad cab, ", "h", "\n.", "fed "):
        session = trained.session(memory=0)
        session.feed(prime)
        starts.append(session.search_start(CompleteOptions(**options)))
    stepper = Stepper(trained.model, starts[0].state)
    whole = complete(stepper, trained.vocabulary, starts)
    monkeypatch.setattr(search_states, "FEW_LANES", 7)  # expansions are larger, and are cut in the middle
    cut = complete(stepper, trained.vocabulary, starts)
    assert len(cut) == len(starts)
    for found, expected in zip(cut, whole, strict=True):
        assert len(found)
        assert_same(found, expected)


def test_searches_together_find_what_each_finds_alone(trained: TrainedModel) -> None:
    primes = ("ab", "bad cab, ", "h")
    starts = []
    for prime in primes:
        session = trained.session(memory=0)
        session.feed(prime)
        starts.append(session.search_start(CompleteOptions(n=3)))
    together = complete(Stepper(trained.model, starts[0].state), trained.vocabulary, starts)
    for found, prime in zip(together, primes, strict=True):
        assert len(found) == 3
        assert_same(found, trained.complete(prime, memory=0, n=3))


def test_a_session_does_not_move_while_it_completes(trained: TrainedModel) -> None:
    session = trained.session(memory=0)
    session.feed("abc de")
    before = session.next_distribution().probabilities
    found, with_more = session.complete(n=3), session.complete("ad", n=3)
    np.testing.assert_array_equal(session.next_distribution().probabilities, before)
    assert session.position == 6
    assert len(found) == len(with_more) == 3
    assert_same(found, trained.complete("abc de", memory=0, n=3))
    assert_same(with_more, trained.complete("abc dead", memory=0, n=3))


def test_an_incomplete_word_is_completed_if_symbols_are_words(make: Maker) -> None:
    vocabulary = Vocabulary.of_text("phil philosophy philology the of . ,", "words")
    trained = make(vocabulary)
    found = trained.complete("the philo", memory=0, n=5, **EXHAUSTIVE)
    assert {"sophy", "logy"} <= set(texts(found))
    session = trained.session(memory=0)
    session.feed("the ")
    distribution = session.next_distribution()
    possible = distribution["philosophy"] + distribution["philology"]
    session.feed("philosophy")
    ends = session.next_distribution()
    ending = sum(ends[mark] for mark in " .,") + float(ends.probabilities[END])
    (sophy,) = [one for one in found if one.text == "sophy"]
    assert sophy.probability == pytest.approx(distribution["philosophy"] / possible * ending, rel=1e-3)
    assert trained.complete("the zzz", memory=0, n=3, **EXHAUSTIVE).best  # unknown words are read as UNKNOWN


@pytest.mark.parametrize("until", ["word", 3])
def test_bytes_are_completed_to_whole_characters(make: Maker, until: Any) -> None:
    trained = make(Vocabulary.of_bytes())
    found = trained.complete(b"caf" + b"\xc3", until=until, n=5, floor=0.0, effort=200)
    assert len(found) == 5
    for one in found:
        assert "\ufffd" not in one.text
        assert "\u00c0" <= one.text[0] <= "\u00ff"


@pytest.mark.parametrize("wrong", [{"n": 0}, {"until": 0}, {"until": True}, {"floor": 1.0}, {"effort": 0}])
def test_wrong_options_are_refused(trained: TrainedModel, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        trained.complete("a", memory=0, **wrong)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_n_only_decides_when_the_search_ends(make: Maker, seed: int) -> None:
    trained = make(seed=seed)
    ended_sooner = []
    for until, effort, prime in product(("word", "line", 6), (64, 10), ("ab", "fed ")):
        options: dict[str, Any] = {"until": until, "effort": effort, "floor": 0.0}
        ten = trained.complete(prime, memory=0, n=10, **options)
        assert len(ten)
        for n in (1, 3, 5):
            found = trained.complete(prime, memory=0, n=n, **options)
            assert list(found) == list(ten[:n])
            ended_sooner.append(found.steps < ten.steps)
    assert any(ended_sooner)


def test_a_search_reads_the_memory_and_does_not_change_it(trained: TrainedModel) -> None:
    session = trained.session()
    session.feed("bad cab, abed dab. " * 8 + "bad c")
    before = session.probabilities
    assert texts(session.complete(n=3))[0] == "ab"
    np.testing.assert_array_equal(session.probabilities, before)
    symbols = {one.text: one.probability for one in session.complete(until=1, n=30)}
    assert symbols["a"] == pytest.approx(session.next_distribution()["a"], rel=1e-5)
    assert symbols["a"] > 0.5


def test_searches_with_and_without_a_memory_run_together(trained: TrainedModel) -> None:
    sessions = [trained.session(memory=size) for size in (1, 0, 2)]
    for session in sessions:
        session.feed("a bad dab. a bad dab. a b")
    options = CompleteOptions(n=3)
    starts = [session.search_start(options) for session in sessions]
    together = complete(sessions[0]._stepper, trained.vocabulary, starts)
    for found, session in zip(together, sessions, strict=True):
        assert_same(found, session.complete(n=3))
