import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.conftest import Small

from onward.data.encoded import EncodedCorpus
from onward.data.lanes import as_stream
from onward.model import LanguageModel, losses
from onward.training import validation
from onward.training.validation import check, checked_symbols, report, reported_symbols


@pytest.fixture
def model(corpus: EncodedCorpus, small: Small) -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(small(dropout=0.5).model_config(len(corpus.vocabulary))).eval()


def one_pass(model: LanguageModel, ids: np.ndarray) -> float:
    x, y = as_stream(ids)
    with torch.no_grad():
        return float(losses(model(x, model.initial_state(1))[0], y).mean())


def test_the_report_scores_in_one_pass(
    model: LanguageModel, corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = np.asarray(corpus.ids)[-500:]
    expected = one_pass(model, held_out)
    assert report(model, held_out) == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(validation, "block_length", lambda *_: 37)  # many blocks
    assert report(model, held_out) == pytest.approx(expected, rel=1e-5)


def test_a_check_scores_evenly_spaced_parts(model: LanguageModel, corpus: EncodedCorpus) -> None:
    held_out = np.asarray(corpus.ids)[-2000:]
    parts = [held_out[0:256], held_out[666 : 666 + 256], held_out[1332 : 1332 + 256]]
    expected = sum(one_pass(model, part) for part in parts) / 3
    assert check(model, held_out, 768) == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 10**7), st.integers(0, 10**12))
def test_the_number_of_scored_symbols_has_limits(held_out: int, trained: int) -> None:
    assert min(held_out, 1024) <= checked_symbols(held_out, trained) <= min(held_out, 16_384)
    assert min(held_out, 16_384) <= reported_symbols(held_out, trained) <= min(held_out, 262_144)


def test_one_symbol_can_be_scored(model: LanguageModel) -> None:
    assert check(model, np.array([5]), 1) == pytest.approx(report(model, np.array([5])))
