import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import Maker

from onward.data.vocabulary import UNKNOWN, Vocabulary
from onward.errors import InputError, VocabularyError
from onward.inference import history
from onward.inference import session as module
from onward.inference.session import Session
from onward.inference.trained_model import TrainedModel

LAYERS = ("gated", "lstm", "gru", "simple")
texts = st.text("abcdefgh .,\n\0é", max_size=60)


def expected(session: Session) -> np.ndarray:
    return session.next_distribution().probabilities


@pytest.mark.parametrize("layer", LAYERS)
def test_each_symbol_is_scored_by_the_distribution_before_it(make: Maker, layer: str) -> None:
    trained = make(layer=layer)
    session, text = trained.session(), "bad cab.\nfa\0de\u00e9"
    one_by_one = []
    for symbol in text:
        before = session.next_distribution()[symbol]
        (nats,) = session.feed(symbol)
        assert nats == pytest.approx(-np.log(before), rel=1e-5)
        one_by_one.append(nats)
    np.testing.assert_allclose(trained.session().feed(text), one_by_one, rtol=1e-4)
    assert session.position == len(text)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_feeding_a_text_in_parts_changes_nothing(trained: TrainedModel, data: st.DataObject) -> None:
    a, b = data.draw(texts), data.draw(texts)
    whole, cut = trained.session(), trained.session()
    together = whole.feed(a + b)
    np.testing.assert_allclose(np.concatenate([cut.feed(a), cut.feed(b)]), together, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(expected(cut), expected(whole), atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.one_of(texts, st.integers(0, 40)), max_size=6), st.sampled_from([3, 11, 1024]))
def test_a_rollback_restores_the_session_as_it_was(
    trained: TrainedModel, events: list[str | int], block: int
) -> None:
    session, fed = trained.session(), ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "block_length", lambda *_: block)
        patch.setattr(history, "FEWEST_SNAPSHOTS", 6)
        for event in events:
            if isinstance(event, str):
                session.feed(event)
                fed += event
            else:
                session.rollback(min(event, len(fed)))
                fed = fed[: len(fed) - min(event, len(fed))]
            fresh = trained.session()
            fresh.feed(fed)
            assert session.position == len(fed)
            np.testing.assert_allclose(expected(session), expected(fresh), atol=1e-5)


def test_a_fork_is_independent(trained: TrainedModel) -> None:
    session = trained.session()
    session.feed("abc")
    before, twin = expected(session), session.fork()
    twin.feed("fade" * 20)
    twin.rollback(70)
    np.testing.assert_array_equal(expected(session), before)
    session.feed("h")
    assert (session.position, twin.position) == (4, 13)
    session.rollback(4)
    np.testing.assert_allclose(expected(session), expected(trained.session()), atol=1e-6)


def test_memory_is_bounded_and_the_reach_is_kept(trained: TrainedModel) -> None:
    session = trained.session(reach=300)
    size = session.megabytes  # of one state
    for _ in range(330):
        session.feed("a")
    assert session.megabytes <= 80 * size
    for count in (5000, 5000):
        session.feed("b" * count)
    with pytest.raises(InputError, match="to roll back, got 100000") as error:
        session.rollback(100_000)
    found = re.search(r"0 to (\d+) symbols", str(error.value))
    assert found
    assert 300 <= int(found[1]) <= 300 + 2048
    session.rollback(300)
    fresh = trained.session()
    fresh.feed("a" * 330 + "b" * 9700)
    np.testing.assert_allclose(expected(session), expected(fresh), atol=1e-4)
    with pytest.raises(InputError):
        session.rollback(-1)


def test_a_text_its_bytes_and_its_ids_are_equivalent(trained: TrainedModel) -> None:
    ids = trained.vocabulary.encode("a\nb")
    for same in ("a\nb", b"a\nb", ids, ids.tolist()):
        np.testing.assert_array_equal(trained.session().feed(same), trained.session().feed("a\nb"))
    assert trained.session().feed("").shape == (0,)
    for wrong in ([99], [-1], np.array([0.5]), np.zeros((2, 2), int)):
        with pytest.raises(VocabularyError, match="ids from 0 to 15"):
            trained.session().feed(wrong)


def test_next_distribution_sums_to_1_and_follows_the_temperature(trained: TrainedModel, make: Maker) -> None:
    session = trained.session()
    session.feed("ab")
    distribution = session.next_distribution()
    assert distribution.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    top = distribution.top(3)
    assert [chance for _, chance in top] == sorted(distribution.probabilities.tolist())[:-4:-1]
    assert distribution["\u00e9"] == distribution.probabilities[UNKNOWN]
    colder = session.next_distribution(0.5).probabilities
    np.testing.assert_allclose(
        colder, distribution.probabilities**2 / (distribution.probabilities**2).sum(), rtol=1e-4
    )
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="temperature above 0"):
            session.next_distribution(wrong)
    with pytest.raises(InputError, match="one symbol"):
        distribution["ab"]
    raw = make(Vocabulary.of_bytes()).session()
    assert raw.feed("é").shape == (2,)
    assert raw.feed(b"\xff\0").shape == (2,)
    with pytest.raises(InputError, match="reach"):
        trained.session(reach=-1)


@pytest.mark.slow
def test_forks_may_be_used_in_different_threads(trained: TrainedModel) -> None:
    session = trained.session()
    session.feed("a")  # by the stepper that a fork might share
    texts = ["bad cab. " * 200, "fed hag, " * 200]
    alone = [_one_by_one(session.fork(), text) for text in texts]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            forks = [session.fork() for _ in texts]
            found = [*pool.map(_one_by_one, forks, texts)]
            for nats, right in zip(found, alone, strict=True):
                np.testing.assert_array_equal(nats, right)


def test_forks_may_take_their_first_step_at_the_same_time(make: Maker) -> None:
    text, interval = "bad cab, ", sys.getswitchinterval()
    alone = _one_by_one(make().session(), text)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(10):
                session = make().session()  # whose weights are not packed yet
                forks = [session.fork() for _ in range(4)]
                for nats in pool.map(_one_by_one, forks, [text] * 4):
                    np.testing.assert_array_equal(nats, alone)
    finally:
        sys.setswitchinterval(interval)


def _one_by_one(session: Session, text: str) -> np.ndarray:
    return np.concatenate([session.feed(symbol) for symbol in text])


def test_the_default_type_of_torch_changes_nothing(make: Maker) -> None:
    trained = make()
    before = _one_by_one(trained.session(), "bad cab")
    torch.set_default_dtype(torch.float64)
    try:
        after = _one_by_one(trained.session(), "bad cab")
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(after, before)


@settings(max_examples=8, deadline=None)
@given(first=texts, taken_back=texts, second=texts)
def test_a_rollback_takes_symbols_out_of_the_memory(
    trained: TrainedModel, first: str, taken_back: str, second: str
) -> None:
    session, never = trained.session(), trained.session()
    session.feed(first + first)
    session.feed(taken_back)
    session.rollback(len(taken_back))
    never.feed(first + first)
    np.testing.assert_allclose(session.feed(second), never.feed(second), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("memory", [0, 1])
@pytest.mark.parametrize("adapts", [False, True])
def test_the_predictions_of_a_text_give_the_surprise_of_reading_it(
    trained: TrainedModel, memory: int, adapts: bool
) -> None:
    text, (one, other) = "a bad cab, a bag. " * 8, (trained.session(memory=memory) for _ in range(2))
    for session in (one, other) if adapts else ():
        session.adapt()
    found = np.concatenate([one.predictions(text[:50]), one.predictions(text[50:]), one.predictions("")])
    assert found.shape == (len(text), len(trained.vocabulary))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    nats = -np.log(found[np.arange(len(text)), trained.vocabulary.encode(text)])
    np.testing.assert_allclose(nats, other.feed(text), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(expected(one), expected(other), rtol=1e-3, atol=1e-5)


def test_a_rollback_beyond_the_record_of_the_memory_counts_what_is_left(trained: TrainedModel) -> None:
    session = trained.session(memory=1)
    session.feed("bad cab, abed dab. " * 60)
    again = "a bee had a cab. " * 120
    session.feed(again)
    session.rollback(len(again))
    assert session.position == 19 * 60
    assert session.feed("bad cab, abed dab. ")[4:].mean() < 0.5
