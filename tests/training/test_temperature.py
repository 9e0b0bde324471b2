"""The temperature of the lowest held-out loss, which becomes part of the model."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from tests.training.conftest import Small
from tests.training.runs import train

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.lanes import as_stream
from onward.model import LanguageModel, losses
from onward.training import held_out as held_out_module
from onward.training.held_out import HeldOut
from onward.training.plan import Budget
from onward.training.split import split_corpus
from onward.training.temperature import FEWEST_SYMBOLS, calibrate_temperature


@pytest.fixture(params=[False, True], ids=["own readout", "tied"])
def model(request: pytest.FixtureRequest, corpus: EncodedCorpus, small: Small) -> LanguageModel:
    return train(corpus, small(tied=request.param, validation=0), Budget(steps=30)).artefact.model


def pieces_of(corpus: EncodedCorpus) -> HeldOut:
    """Returns pieces of 256 symbols, `FEWEST_SYMBOLS` in all, each with BEGIN before it."""
    ids = np.tile(np.asarray(corpus.ids), 2)[:FEWEST_SYMBOLS].reshape(-1, 256)
    parts = [HeldOut.cut(piece, [0], 256, 0) for piece in ids]
    return HeldOut(torch.cat([part.x for part in parts], 1), torch.cat([part.y for part in parts], 1), 0)


@torch.no_grad()
def logits(model: LanguageModel, ids: np.ndarray) -> torch.Tensor:
    return model(as_stream(ids)[0], model.initial_state(1))[0]


def test_scaling_multiplies_all_logits(model: LanguageModel, corpus: EncodedCorpus) -> None:
    ids = np.asarray(corpus.ids[:200])
    before = logits(model, ids)
    model.scale_logits(0.7)
    torch.testing.assert_close(logits(model, ids), 0.7 * before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.7, 1.0, 3.0])
def test_the_temperature_has_the_lowest_loss(
    model: LanguageModel, corpus: EncodedCorpus, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared with SciPy's minimiser; scored in blocks, between which the state is carried."""
    model.scale_logits(scale)
    held_out = pieces_of(corpus)
    several = list(np.tile(np.asarray(corpus.ids), 2)[:FEWEST_SYMBOLS].reshape(-1, 256))
    z = torch.cat([logits(model, part) for part in several], 1)
    y = torch.cat([as_stream(part)[1] for part in several], 1)
    found: Any = minimize_scalar(lambda b: float(losses(z * b, y).double().mean()), (0.1, 10.0), tol=1e-8)
    monkeypatch.setattr(held_out_module, "block_length", lambda *_: 61)
    temperature_found = calibrate_temperature(model, held_out)
    assert temperature_found == pytest.approx(1 / found.x, rel=1e-3)
    again = torch.cat([logits(model, part) for part in several], 1)
    assert float(losses(again, y).mean()) == pytest.approx(found.fun, abs=1e-6)


def test_short_held_out_text_leaves_the_model_unchanged(model: LanguageModel, corpus: EncodedCorpus) -> None:
    before = logits(model, np.asarray(corpus.ids[:50]))
    assert calibrate_temperature(model, HeldOut.cut(corpus.ids, [1], FEWEST_SYMBOLS - 1, 0)) == 1.0
    assert torch.equal(logits(model, np.asarray(corpus.ids[:50])), before)


def test_a_run_saves_a_calibrated_model(corpus: EncodedCorpus, small: Small) -> None:
    twice = encode_text(corpus.vocabulary.decode(np.tile(np.asarray(corpus.ids), 3)), Encoding())
    result = train(twice, small(validation=0.4), Budget(steps=12))
    facts = result.artefact.facts["validation"]
    assert abs(facts["temperature"] - 1) > 0.01
    held_out = split_corpus(twice, small(validation=0.4)).held_out
    assert calibrate_temperature(result.artefact.model, held_out) == pytest.approx(1.0, abs=1e-3)


def test_the_temperature_has_limits(model: LanguageModel, corpus: EncodedCorpus) -> None:
    held_out = pieces_of(corpus)
    model.scale_logits(40.0)
    assert calibrate_temperature(model, held_out) == 4.0
    model.scale_logits(1e6)  # each distribution has all its weight on one symbol
    assert calibrate_temperature(model, held_out) == 1.0
