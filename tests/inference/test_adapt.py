"""Dynamic evaluation: symbols are scored before they are learned, and the trained weights do not change."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import Maker

from onward.artefact import digest_of, weights_of
from onward.errors import ArtefactError, InputError
from onward.inference.adapt import Adapter, AdaptOptions
from onward.inference.session import Session
from onward.inference.trained_model import TrainedModel

TEXT = "bad cab. fade a face, a bad bag. " * 12
OPTIONS = AdaptOptions(block=16, rate=0.3)


def adapted(trained: TrainedModel, options: AdaptOptions = OPTIONS) -> Session:
    session = trained.session(memory=0)
    session.adapt(options)
    return session


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_learning_lowers_the_surprise_of_similar_text(make: Maker, layer: str) -> None:
    trained = make(layer=layer)
    before = digest_of(weights_of(trained.model))
    nats = adapted(trained).feed(TEXT)
    assert nats.mean() < 0.9 * trained.session(memory=0).feed(TEXT).mean()
    assert digest_of(weights_of(trained.model)) == before


@settings(max_examples=5, deadline=None)
@given(at=st.integers(0, 60), symbol=st.sampled_from("abcdefgh .,\n"))
def test_no_symbol_is_scored_by_weights_that_learned_from_it(
    trained: TrainedModel, at: int, symbol: str
) -> None:
    # A changed symbol changes no score before it; its own score is that of the same distribution.
    changed = TEXT[:at] + symbol + TEXT[at + 1 :]
    one, other = adapted(trained), adapted(trained)
    np.testing.assert_array_equal(one.feed(TEXT[:at]), other.feed(changed[:at]))
    expected = one.next_distribution()
    assert other.feed(changed[at])[0] == pytest.approx(-np.log(expected[symbol]), rel=1e-4)
    assert one.feed(TEXT[at])[0] == pytest.approx(-np.log(expected[TEXT[at]]), rel=1e-4)


def test_the_first_block_is_scored_with_the_trained_weights(trained: TrainedModel) -> None:
    learned, static = adapted(trained).feed(TEXT[:40]), trained.session(memory=0).feed(TEXT[:40])
    np.testing.assert_allclose(learned[:16], static[:16], rtol=1e-4)
    assert abs(learned[17:] - static[17:]).max() > 1e-3


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(0, 100), max_size=5))
def test_feeding_a_text_in_parts_changes_nothing(trained: TrainedModel, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), 100]
    session = adapted(trained)
    parts = [session.feed(TEXT[a:b]) for a, b in pairwise(places)]
    np.testing.assert_allclose(np.concatenate(parts), adapted(trained).feed(TEXT[:100]), rtol=1e-3, atol=1e-4)


def test_symbols_taken_back_before_their_block_is_full_are_not_learned(trained: TrainedModel) -> None:
    session, never = adapted(trained), adapted(trained)
    session.feed("abc" + "hhhh")
    session.rollback(4)
    never.feed("abc")
    np.testing.assert_allclose(session.feed(TEXT), never.feed(TEXT), rtol=1e-3, atol=1e-4)
    session.rollback(40)  # beyond the current block
    session.feed(TEXT)
    assert session.adapter is not None
    assert session.adapter.steps > 10


def test_symbols_fed_without_learning_are_not_learned(trained: TrainedModel) -> None:
    session = adapted(trained)
    session.feed(TEXT[:40], learns=False)
    assert session.adapter is not None
    assert session.adapter.steps == 0
    for learns, steps in ((True, 0), (False, 0), (True, 0), (True, 1)):
        session.feed(TEXT[:8], learns=learns)
        assert session.adapter.steps == steps


def test_forget_goes_back_to_the_trained_weights(trained: TrainedModel) -> None:
    session = adapted(trained)
    session.feed(TEXT)
    session.forget()
    assert session.adapter is not None
    assert session.adapter.steps == 0
    session.rollback(session.position)
    np.testing.assert_allclose(session.feed(TEXT[:16]), trained.session(memory=0).feed(TEXT[:16]), rtol=1e-4)
    trained.session(memory=0).forget()  # does nothing without an adapter


def test_learned_weights_can_be_saved_and_restored(trained: TrainedModel, make: Maker) -> None:
    session = adapted(trained)
    session.feed(TEXT)
    assert session.adapter is not None
    saved, other = session.adapter.to_bytes(), trained.session(memory=0)
    other.adapt(OPTIONS, saved)
    assert other.adapter is not None
    assert other.adapter.steps == session.adapter.steps
    session.rollback(session.position)
    np.testing.assert_allclose(session.feed(TEXT[:16]), other.feed(TEXT[:16]), rtol=1e-4)
    damaged = (b"", b"rubbish", saved[: len(saved) // 2], b"\0" * 40)
    for raw in damaged:
        with pytest.raises(ArtefactError):
            Adapter(trained.model).restore(raw)
    with pytest.raises(ArtefactError, match="another model"):
        Adapter(make(seed=5).model).restore(saved)
    nan = Adapter(trained.model)
    with torch.no_grad():
        nan.model.readout.weight.fill_(float("nan"))
    with pytest.raises(ArtefactError, match="finite"):
        Adapter(trained.model).restore(nan.to_bytes())
    huge, own = Adapter(trained.model), Adapter(trained.model)
    with torch.no_grad():
        huge.model.readout.weight.fill_(3e38)
    with pytest.raises(ArtefactError, match="so small that no value can become infinite"):
        own.restore(huge.to_bytes())
    assert digest_of(weights_of(own.model)) == digest_of(weights_of(trained.model))
    with pytest.raises(ArtefactError, match="damaged data"):
        own.restore(saved.replace(b'"steps":"', b'"steps":"-'))


def test_a_fork_learns_independently(trained: TrainedModel) -> None:
    session = adapted(trained)
    session.feed(TEXT[:40])
    twin = session.fork()
    twin.feed(TEXT)
    assert session.adapter is not None and twin.adapter is not None
    assert (session.adapter.steps, twin.adapter.steps) == (2, 2 + (8 + len(TEXT)) // 16)
    before = session.next_distribution().probabilities
    session.complete(TEXT)  # completing does not learn either
    np.testing.assert_array_equal(session.next_distribution().probabilities, before)
    assert session.adapter.steps == 2


def test_decay_pulls_the_weights_back(trained: TrainedModel) -> None:
    session = adapted(trained, AdaptOptions(block=16, rate=0.3, decay=1.0))
    session.feed(TEXT)
    np.testing.assert_allclose(
        session.next_distribution().probabilities, _static(trained).probabilities, atol=1e-5
    )


def _static(trained: TrainedModel):
    session = trained.session(memory=0)
    session.feed(TEXT)
    return session.next_distribution()


@pytest.mark.parametrize("wrong", [{"block": 1}, {"rate": -1.0}, {"clip": 0.0}, {"decay": 2.0}])
def test_options_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="expected a"):
        AdaptOptions(**wrong)
