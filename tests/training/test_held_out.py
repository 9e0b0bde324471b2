"""The pieces of a corpus that are not trained on, and their loss."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.conftest import Small

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.symbols import SymbolFile, Symbols
from onward.data.vocabulary import BEGIN
from onward.model import LanguageModel, losses
from onward.training import held_out as held_out_module
from onward.training.held_out import CHECKED, HeldOut, held_out_loss
from onward.training.recipe import find_recipe
from onward.training.split import CorpusSplit, held_out_symbols, split_corpus

SHARES = st.none() | st.floats(0.0, 0.5)


def numbered(symbols: int) -> EncodedCorpus:
    """Returns a corpus in which each symbol is another one."""
    text = "".join(chr(0x4E00 + number) for number in range(symbols))
    return encode_text(text, Encoding())


def split(corpus: EncodedCorpus, share: float | None, seed: int = 0) -> CorpusSplit:
    return split_corpus(corpus, find_recipe(overrides={"validation": share, "seed": seed, "lanes": 1}))


def pieces_of(held_out: HeldOut) -> np.ndarray:
    """Returns the scored symbols, (pieces, symbols)."""
    return held_out.y[held_out.burn_in :].numpy().T


@settings(max_examples=40, deadline=None)
@given(symbols=st.integers(1, 9000), share=SHARES, seed=st.integers(0, 99))
def test_each_symbol_is_either_trained_on_or_held_out(symbols: int, share: float | None, seed: int) -> None:
    corpus = numbered(symbols)
    found = split(corpus, share, seed)
    held_out = pieces_of(found.held_out).ravel()
    together = np.concatenate([np.asarray(found.training[:]), held_out])
    assert sorted(together.tolist()) == sorted(np.asarray(corpus.ids).tolist())
    assert len(found.held_out) == len(held_out)


@settings(max_examples=40, deadline=None)
@given(symbols=st.integers(6000, 20_000), share=SHARES, seed=st.integers(0, 99))
def test_a_piece_is_read_after_the_text_before_it(symbols: int, share: float | None, seed: int) -> None:
    corpus = numbered(symbols)
    ids, held_out = np.asarray(corpus.ids), split(corpus, share, seed).held_out
    place = {int(symbol): number for number, symbol in enumerate(ids)}
    for x, y in zip(held_out.x.T.tolist(), held_out.y.T.tolist(), strict=True):
        first = place[y[0]]
        assert y == ids[first : first + len(y)].tolist()
        assert x == [BEGIN if first == 0 else ids[first - 1], *y[:-1]]


def test_pieces_come_from_all_parts_of_the_text() -> None:
    corpus = numbered(20_000)
    held_out = split(corpus, None).held_out
    places = pieces_of(held_out)[:, 0] - int(np.asarray(corpus.ids)[0])
    assert len(places) == 7
    assert (places // (20_000 // 7)).tolist() == list(range(7))
    assert split(corpus, None, seed=1).held_out.y.tolist() != held_out.y.tolist()


def test_no_more_is_held_out_than_checks_need() -> None:
    assert held_out_symbols(20_000) == 1000
    assert held_out_symbols(1_000_000) == 16_384
    assert held_out_symbols(5_000_000) == 50_000
    assert held_out_symbols(10**9) == 131_072
    assert held_out_symbols(1_000_000, 0.2) == 200_000
    assert held_out_symbols(5_000) == held_out_symbols(10**6, 0.0) == 0  # too short; not wanted


def test_a_corpus_in_a_file_is_split_alike(tmp_path: Path) -> None:
    corpus = numbered(9000)
    ids = np.asarray(corpus.ids)
    path = tmp_path / "ids"
    ids.tofile(path)
    on_disk: Symbols = SymbolFile(path, ids.dtype, len(corpus.vocabulary))
    again = replace(corpus, ids=on_disk)
    one, other = split(corpus, 0.3), split(again, 0.3)
    assert np.array_equal(np.asarray(one.training[:]), np.asarray(other.training[:]))
    assert torch.equal(one.held_out.y, other.held_out.y)
    recipe = find_recipe(overrides={"lanes": 1})
    lanes, others = one.lanes(recipe), other.lanes(recipe)
    for _ in range(2 * lanes.blocks_per_epoch):
        assert torch.equal(lanes.next().x, others.next().x)


@pytest.fixture
def model(corpus: EncodedCorpus, small: Small) -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(small(dropout=0.5).model_config(len(corpus.vocabulary))).eval()


@torch.no_grad()
def test_the_loss_is_that_of_one_piece_after_another(
    model: LanguageModel, corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out, total = HeldOut.cut(corpus.ids, [0, 700, 1500], 200, 0), 0.0
    late = HeldOut.cut(corpus.ids, [300, 700, 1500], 200, 100)
    for part, burn_in in ((held_out, 0), (late, 100)):
        total = 0.0
        for lane in range(3):
            x, y = part.x[:, lane : lane + 1], part.y[:, lane : lane + 1]
            total += float(losses(model(x, model.initial_state(1))[0], y)[burn_in:].sum())
        assert held_out_loss(model, part) == pytest.approx(total / 600, rel=1e-5)
        monkeypatch.setattr(held_out_module, "block_length", lambda *_: 37)  # many blocks
        assert held_out_loss(model, part) == pytest.approx(total / 600, rel=1e-5)


def test_a_check_scores_evenly_spaced_pieces() -> None:
    corpus = encode_text("some text " * 20_000, Encoding())
    held_out = split(corpus, 0.5).held_out
    some = held_out.some()
    assert len(held_out) > 5 * CHECKED
    assert CHECKED / 2 < len(some) <= CHECKED
    every = -(-held_out.pieces // some.pieces)
    assert torch.equal(some.y, held_out.y[:, ::every])
    assert len(HeldOut.none().some()) == 0
