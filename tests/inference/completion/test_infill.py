"""Infilling ranks candidates as an exhaustive search does, and keeps its limits."""

import time
from itertools import product

import numpy as np
import pytest
from tests.inference.conftest import ALPHABET, Maker

import onward
from onward.data.vocabulary import Vocabulary
from onward.errors import InputError
from onward.inference.completion.infill import EVEN
from onward.inference.trained_model import TrainedModel
from onward.memory.memory import Memory

NAMES = "from widgets import frobnicate_widgets\n\nfrobnicate_widgets(9)\nfrobnicate_widgets(8)\n"
CODE = "import sys\n\n\ndef main():\n    frobnicate_"
REST = "widgets"
LETTERS = ALPHABET.replace("\n", "")


def joint(trained: TrainedModel, prefix: str, text: str, suffix: str) -> float:
    """The probability of a text and of the suffix after it."""
    session = trained.session(memory=0)
    session.feed(prefix)
    return float(np.exp(-session.feed(text + suffix).sum()))


@pytest.fixture(scope="module")
def python() -> TrainedModel:
    return onward.load("python")


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", [".\nab", " ", "cab, a fed hag. ah, a bag", "h"])
def test_candidates_are_ranked_by_what_they_make_of_the_suffix(make: Maker, seed: int, suffix: str) -> None:
    trained, prefix = make(seed=seed), "a bad "
    texts = ["".join(parts) for size in range(3) for parts in product(LETTERS, repeat=size)]
    expected = {text: joint(trained, prefix, text, suffix) for text in texts}
    found = trained.infill(prefix, suffix, memory=0, n=len(texts), length=2, beam=len(texts))
    weights = np.array([expected[one.text] for one in found])
    probabilities = [one.probability for one in found]
    np.testing.assert_allclose(probabilities, weights / weights.sum(), rtol=1e-3, atol=1e-6)
    likeliest = max(found, key=lambda one: one.probability).text
    assert likeliest == max(texts, key=lambda text: expected[text])


def test_the_empty_text_is_first_only_if_it_is_likelier_than_the_others(make: Maker) -> None:
    first, last = 0, 0
    for seed, suffix in product(range(4), LETTERS[:8]):
        found = make(seed=seed).infill("a bad", suffix, memory=0, n=16, length=3)
        empty = [i for i, one in enumerate(found) if not one.text]
        if not empty:
            continue
        assert empty[0] == (0 if found[empty[0]].probability > EVEN else len(found) - 1)
        first, last = first + (empty[0] == 0), last + (empty[0] > 0)
    assert first and last


def test_without_a_suffix_the_line_is_completed(trained: TrainedModel) -> None:
    lines = trained.complete("a bad", memory=0, until="line", n=3)
    found = trained.infill("a bad", "", memory=0, n=3)
    assert [one.text for one in found] == [one.text for one in lines]


def test_a_memory_counts_other_texts_and_the_suffix(python: TrainedModel) -> None:
    for extra, suffix in (([], "\n"), ([NAMES], "\n"), ([], "\n\n" + NAMES)):
        (found,) = python.infill(CODE, suffix, extra=extra, n=1)
        assert found.text.startswith(REST) == (NAMES in (*extra, suffix.strip() + "\n"))


def test_a_session_does_not_change(trained: TrainedModel) -> None:
    session = trained.session()
    session.feed("a bad cab")
    before = session.next_distribution().probabilities
    first = session.infill(" fed", n=4)
    assert session.infill(" fed", n=4) == first
    np.testing.assert_array_equal(session.next_distribution().probabilities, before)


def counted(python: TrainedModel, megabytes: float | int = 16) -> Memory:
    memory = python.memory(megabytes)
    assert memory
    memory.count(python.vocabulary.encode(NAMES))
    return memory


def test_a_session_remembers_other_texts_before_its_own(python: TrainedModel) -> None:
    late, early = python.session(), python.session(memory=0)
    early.remember(counted(python))
    for session in (late, early):
        session.feed(CODE)
    late.remember(counted(python))
    for session in (late, early):
        assert session.infill("\n", n=1)[0].text.startswith(REST)
    late.rollback(5)
    late.feed(CODE[-5:])
    assert late.infill("\n", n=1)[0].text.startswith(REST)


def test_a_long_rollback_does_not_forget_other_texts(python: TrainedModel) -> None:
    session, text = python.session(memory=0), "value = 1\n" * 300
    session.remember(counted(python, 1).fork(restarts_here=True))
    session.feed(text)
    session.rollback(len(text))
    session.feed(CODE)
    assert session.infill("\n", n=1)[0].text.startswith(REST)


@pytest.mark.parametrize("suffix", ["", "\nab", "zzz"])
def test_length_and_time_are_limited(trained: TrainedModel, suffix: str) -> None:
    assert all(len(one.text) <= 3 for one in trained.infill("a", suffix, length=3, n=16))
    started = time.perf_counter()
    trained.session().infill(suffix, seconds=0.0, length=10_000)
    assert time.perf_counter() - started < 1


def test_characters_of_several_bytes_stay_whole(make: Maker) -> None:
    trained = make(Vocabulary.of_text("", "bytes"), seed=5)
    for suffix in ("", "\n", "é", "\U0001f600"):
        for one in trained.infill("caf\u00e9 ", suffix, n=16, length=4):
            assert len(one.text) <= 4
            one.text.encode()


def test_wrong_options_and_words_are_refused(make: Maker, trained: TrainedModel) -> None:
    words = make(Vocabulary.of_text("a bad cab", "words"))
    with pytest.raises(InputError, match="one of words"):
        words.infill("a bad", " cab")
    with pytest.raises(InputError, match="expected n of 1 or more, got 0"):
        trained.infill("a", "b", n=0)
    with pytest.raises(InputError, match="expected seconds of 0 or more, got -1"):
        trained.infill("a", "b", seconds=-1)
