from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.data.vocabulary import SPECIAL, Vocabulary
from onward.errors import InputError, VocabularyError
from onward.memory import compiled, memory
from onward.memory.compiled import CompiledKernel
from onward.memory.layout import MOST_RECORDED, PLACE, Layout
from onward.memory.memory import Memory
from onward.memory.reference import ReferenceKernel

CHARACTERS = Vocabulary.of_text("abcdefgh AB'.,\n", "characters")
VOCABULARIES = {
    "characters": CHARACTERS,
    "bytes": Vocabulary.of_bytes(),
    "words": Vocabulary.of_text(" ".join(f"w{i}" for i in range(300)), "words"),
    "special symbols alone": Vocabulary("characters", ()),
}
SIZE = 1.0  # megabytes
kinds = pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES)
needs_c = pytest.mark.skipif(not compiled.available, reason="memory.c was not built")


def network(vocabulary: Vocabulary, symbols: int, seed: int = 0) -> np.ndarray:
    """Returns the probabilities of a network that is often sure, and sometimes wrongly."""
    logits = np.random.default_rng(seed).normal(0, 3, (symbols, len(vocabulary)))
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def text_of(vocabulary: Vocabulary, symbols: int, seed: int = 0) -> np.ndarray:
    """Returns a text that repeats itself, with some noise."""
    random = np.random.default_rng(seed)
    phrases = [random.integers(0, len(vocabulary), random.integers(3, 40)) for _ in range(8)]
    ids = np.concatenate([phrases[i] for i in random.integers(0, 8, symbols // 3 + 1)])[:symbols]
    noise = random.random(len(ids)) < 0.05
    ids[noise] = random.integers(0, len(vocabulary), noise.sum())
    return ids.astype(np.int64)


def surprise(probabilities: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return -np.log(probabilities[np.arange(len(ids)), ids])


def expected(mind: Memory, vocabulary: Vocabulary) -> np.ndarray:
    """Returns what a memory predicts with one network."""
    return mind.refine(mind.place()[None], network(vocabulary, 1, seed=9))[0]


@needs_c
@kinds
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 99), undo=st.sampled_from([0, 3, 1000]))
def test_c_and_python_have_the_same_words(vocabulary: Vocabulary, seed: int, undo: int) -> None:
    fast, plain = (kind(Layout(vocabulary, SIZE), undo) for kind in (CompiledKernel, ReferenceKernel))
    ids, chances = text_of(vocabulary, 120, seed), network(vocabulary, 120, seed)
    for kernel in (fast, plain):
        kernel.count(text_of(vocabulary, 40, seed + 1))
    np.testing.assert_allclose(fast.read(ids, chances), plain.read(ids, chances), rtol=1e-9)
    np.testing.assert_array_equal(fast.words, plain.words)
    assert fast.undoable == plain.undoable == min(undo, 160)
    for kernel in (fast, plain):
        kernel.take_back(min(undo, 50))
    np.testing.assert_array_equal(fast.words, plain.words)
    places = np.repeat(fast.place()[None], 3, axis=0)
    np.testing.assert_array_equal(places[0], plain.place())
    refined = [network(vocabulary, 3, seed) for _ in range(2)]
    for kernel, probabilities in zip((fast, plain), refined, strict=True):
        own = places.copy()
        kernel.advance(own, np.arange(3))
        kernel.refine(own, probabilities)
    np.testing.assert_allclose(*refined, rtol=1e-5, atol=1e-12)


@kinds
def test_an_empty_memory_predicts_what_the_network_does(vocabulary: Vocabulary) -> None:
    chances = network(vocabulary, 5)
    mind = Memory(vocabulary, SIZE)
    places = np.repeat(mind.place()[None], 5, axis=0)
    np.testing.assert_allclose(mind.refine(places, chances), chances, rtol=1e-6)


@kinds
def test_the_surprise_is_that_of_the_distribution_before_the_symbol(vocabulary: Vocabulary) -> None:
    mind, ids, chances = Memory(vocabulary, SIZE), text_of(vocabulary, 200), network(vocabulary, 200)
    for i, symbol in enumerate(ids):
        before = mind.refine(mind.place()[None], chances[i : i + 1])
        assert before.sum() == pytest.approx(1, abs=1e-5)
        assert before.min() >= 0
        (nats,) = mind.read(ids[i : i + 1], chances[i : i + 1])
        assert nats == pytest.approx(-np.log(before[0, symbol]), rel=1e-4, abs=1e-6)


@kinds
def test_what_was_read_is_expected_when_it_comes_again(vocabulary: Vocabulary) -> None:
    if len(vocabulary) == len(SPECIAL):
        return  # nearly any text of four symbols came before
    mind, phrase = Memory(vocabulary, SIZE), np.random.default_rng(3).integers(0, len(vocabulary), 25)
    ids, chances = np.tile(phrase, 6), network(vocabulary, 150)
    nats, alone = mind.read(ids, chances), surprise(chances, ids)
    np.testing.assert_allclose(nats[:3], alone[:3], rtol=0.7)
    assert nats[-25:].mean() < 0.5 * alone[-25:].mean()


def test_a_symbol_has_no_influence_on_those_before_it() -> None:
    ids, chances = text_of(CHARACTERS, 300), network(CHARACTERS, 300)
    other = ids.copy()
    other[200:] = (other[200:] + 1) % len(CHARACTERS)
    one, two = (Memory(CHARACTERS, SIZE).read(each, chances) for each in (ids, other))
    np.testing.assert_array_equal(one[:200], two[:200])
    assert (one[200:] != two[200:]).all()


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=4), seed=st.integers(0, 9))
def test_reading_in_parts_changes_nothing(cuts: list[int], seed: int) -> None:
    ids, chances = text_of(CHARACTERS, 300, seed), network(CHARACTERS, 300, seed)
    whole, cut = Memory(CHARACTERS, SIZE), Memory(CHARACTERS, SIZE)
    ends = [0, *sorted(cuts), 300]
    parts = [cut.read(ids[a:b], chances[a:b]) for a, b in pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.read(ids, chances))
    np.testing.assert_array_equal(expected(cut, CHARACTERS), expected(whole, CHARACTERS))


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.one_of(st.integers(1, 40), st.integers(-40, -1)), max_size=12))
def test_symbols_that_were_taken_back_leave_no_trace(steps: list[int]) -> None:
    ids, chances = text_of(CHARACTERS, 600), network(CHARACTERS, 600)
    mind, at = Memory(CHARACTERS, SIZE), 0
    for step in steps:
        if step > 0:
            shifted = (ids[at : at + step] + step) % len(CHARACTERS)  # the symbols taken back were others
            mind.read(shifted, chances[at : at + step])
            mind.take_back(step)
            mind.read(ids[at : at + step], chances[at : at + step])
            at += step
        else:
            back = min(at, -step)
            mind.take_back(back)
            at -= back
    fresh = Memory(CHARACTERS, SIZE)
    fresh.read(ids[:at], chances[:at])
    np.testing.assert_array_equal(mind.read(ids[at:], chances[at:]), fresh.read(ids[at:], chances[at:]))


def test_a_fork_is_independent() -> None:
    ids, chances = text_of(CHARACTERS, 200), network(CHARACTERS, 200)
    mind, alone = Memory(CHARACTERS, SIZE), Memory(CHARACTERS, SIZE)
    for each in (mind, alone):
        each.read(ids[:100], chances[:100])
    twin = mind.fork()
    twin.read(ids[:50], chances[:50])
    np.testing.assert_array_equal(mind.read(ids[100:], chances[100:]), alone.read(ids[100:], chances[100:]))
    twin.take_back(50)
    twin.read(ids[100:], chances[100:])
    np.testing.assert_array_equal(expected(twin, CHARACTERS), expected(alone, CHARACTERS))


def test_a_search_reads_on_from_a_place_as_the_memory_would() -> None:
    ids, chances = text_of(CHARACTERS, 400), network(CHARACTERS, 400)
    mind = Memory(CHARACTERS, SIZE)
    mind.read(ids[:390], chances[:390])
    before, places = expected(mind, CHARACTERS), mind.place()[None]
    for symbol in ids[390:395]:
        places = mind.advance(places, np.array([symbol]))
    found = mind.refine(places, chances[395:396])
    np.testing.assert_array_equal(expected(mind, CHARACTERS), before)  # reading changes nothing
    mind.count(ids[390:395])  # the mixer has not learned, as in the search
    assert places.shape == (1, PLACE)
    np.testing.assert_array_equal(places[0], mind.place())
    assert np.abs(found - mind.refine(places, chances[395:396])).max() < 0.2  # but the counts have grown


def test_its_size_is_bounded_and_old_text_is_forgotten() -> None:
    mind, size = Memory(CHARACTERS, SIZE), Layout(CHARACTERS, SIZE).sizes
    ids = text_of(CHARACTERS, 2 * size["text"] + 1000)
    mind.count(ids)
    assert mind.megabytes == SIZE
    assert sum(size.values()) + Layout(CHARACTERS, SIZE).journal <= SIZE * 2**18
    assert 0 < mind.undoable < Layout(CHARACTERS, SIZE).journal
    back = mind.undoable
    mind.take_back(back)
    assert mind.undoable == 0
    mind.count(ids[len(ids) - back :])
    fresh = Memory(CHARACTERS, SIZE)
    fresh.count(ids)
    np.testing.assert_array_equal(expected(mind, CHARACTERS), expected(fresh, CHARACTERS))


def test_a_memory_can_begin_with_a_counted_text() -> None:
    ids, chances = text_of(CHARACTERS, 300), network(CHARACTERS, 300)
    empty, begun = Memory(CHARACTERS, SIZE), Memory(CHARACTERS, SIZE, counted=ids)
    assert begun.read(ids, chances).mean() < 0.7 * empty.read(ids, chances).mean()
    begun.restart(ids[:10])
    again = Memory(CHARACTERS, SIZE)
    again.count(np.concatenate([ids, ids[:10]]))
    np.testing.assert_array_equal(expected(begun, CHARACTERS), expected(again, CHARACTERS))


def test_probabilities_of_zero_are_read() -> None:
    chances = np.zeros((40, len(CHARACTERS)), np.float32)
    chances[:, 5] = 1
    nats = Memory(CHARACTERS, SIZE).read(text_of(CHARACTERS, 40), chances)
    assert np.isfinite(nats).all()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Memory(CHARACTERS, 0.5), InputError),
        (lambda: Memory(CHARACTERS, 2000), InputError),
        (lambda: Memory(CHARACTERS, float("nan")), InputError),
        (lambda: Memory(CHARACTERS, SIZE).take_back(1), InputError),
        (lambda: Memory(CHARACTERS, SIZE).take_back(-1), InputError),
        (lambda: Memory(CHARACTERS, SIZE).read(np.array([99]), network(CHARACTERS, 1)), VocabularyError),
        (lambda: Memory(CHARACTERS, SIZE).read(np.array([1]), network(CHARACTERS, 2)), InputError),
        (lambda: Memory(CHARACTERS, SIZE).count(np.array([-1])), VocabularyError),
    ],
)
def test_misuse_is_refused(call: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        call()


def test_the_journal_has_room_for_the_records_of_a_symbol() -> None:
    for vocabulary in VOCABULARIES.values():
        assert Layout(vocabulary, SIZE).journal > 2 * MOST_RECORDED


def test_without_a_compiler_python_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, chances = text_of(CHARACTERS, 60), network(CHARACTERS, 60)
    fast = Memory(CHARACTERS, SIZE).read(ids, chances)
    monkeypatch.setattr(memory.compiled, "available", False)
    np.testing.assert_allclose(Memory(CHARACTERS, SIZE).read(ids, chances), fast, rtol=1e-9)
