"""The temperature that held-out text asks for, and that it becomes part of the model."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.lanes import as_stream
from onward.model import LanguageModel, losses
from onward.training import temperature
from onward.training.plan import Budget
from onward.training.recipe import Recipe
from onward.training.temperature import FEWEST_SYMBOLS, temper
from onward.training.train import train_model

Small = Callable[..., Recipe]


@pytest.fixture(params=[False, True], ids=["readout of its own", "tied"])
def model(request: pytest.FixtureRequest, corpus: EncodedCorpus, small: Small) -> LanguageModel:
    return train_model(corpus, small(tied=request.param, validation=0), Budget(steps=30)).artefact.model


@torch.no_grad()
def logits(model: LanguageModel, ids: np.ndarray) -> torch.Tensor:
    return model(as_stream(ids)[0], model.initial_state(1))[0]


def test_all_logits_are_scaled(model: LanguageModel, corpus: EncodedCorpus) -> None:
    ids = np.asarray(corpus.ids[:200])
    before = logits(model, ids)
    model.scale_logits(0.7)
    torch.testing.assert_close(logits(model, ids), 0.7 * before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sure", [0.7, 1.0, 3.0])
def test_it_is_where_the_loss_is_least(
    model: LanguageModel, corpus: EncodedCorpus, sure: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against Brent's method of SciPy; in blocks, between which the state is carried."""
    model.scale_logits(sure)
    tail = np.tile(np.asarray(corpus.ids), 2)[:FEWEST_SYMBOLS]
    several = [tail[start : start + 256] for start in range(0, FEWEST_SYMBOLS, 256)]
    z = torch.cat([logits(model, part) for part in several], 1)
    y = torch.cat([as_stream(part)[1] for part in several], 1)
    found = minimize_scalar(lambda b: float(losses(z * b, y).double().mean()), (0.1, 10.0), tol=1e-8)
    monkeypatch.setattr(temperature, "block_length", lambda *_: 61)
    told = temper(model, tail)
    assert told == pytest.approx(1 / found.x, rel=1e-3)
    again = torch.cat([logits(model, part) for part in several], 1)
    assert float(losses(again, y).mean()) == pytest.approx(found.fun, abs=1e-6)


def test_of_little_text_there_is_none(model: LanguageModel, corpus: EncodedCorpus) -> None:
    before = logits(model, np.asarray(corpus.ids[:50]))
    assert temper(model, np.asarray(corpus.ids)[: FEWEST_SYMBOLS - 1]) == 1.0
    assert torch.equal(logits(model, np.asarray(corpus.ids[:50])), before)


def test_a_run_saves_a_model_that_is_as_sure_as_it_is_right(corpus: EncodedCorpus, small: Small) -> None:
    twice = encode_text(corpus.vocabulary.decode(np.tile(np.asarray(corpus.ids), 3)), Encoding())
    result = train_model(twice, small(validation=0.4), Budget(steps=12))
    facts = result.artefact.facts["validation"]
    assert abs(facts["temperature"] - 1) > 0.01
    tail = np.asarray(twice.ids)[-int(0.4 * len(twice.ids)) :]
    assert temper(result.artefact.model, tail) == pytest.approx(1.0, abs=1e-3)


def test_it_has_limits(model: LanguageModel, corpus: EncodedCorpus) -> None:
    tail = np.tile(np.asarray(corpus.ids), 2)[:FEWEST_SYMBOLS]
    model.scale_logits(40.0)
    assert temper(model, tail) == 4.0
    model.scale_logits(1e6)  # nothing but one symbol at each place
    assert temper(model, tail) == 1.0
