import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import Maker

from onward.errors import InputError
from onward.inference.scoring import protocol as module
from onward.inference.scoring.protocol import Protocol, part_of_stream, surprises
from onward.inference.trained_model import TrainedModel
from onward.model import losses


def all_of(
    trained: TrainedModel, ids: np.ndarray, *, cold: int | None = None, lanes: int | None = None
) -> np.ndarray:
    plan = Protocol(cold=cold, lanes=lanes).plan(trained.model, len(ids))
    return np.concatenate([*surprises(trained.model, ids, plan)])


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 16, 700).astype(np.uint8)


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
@pytest.mark.parametrize("block", [1, 7, 300])
def test_streaming_agrees_with_a_session(
    make: Maker, ids: np.ndarray, layer: str, block: int, monkeypatch
) -> None:
    trained = make(layer=layer)
    monkeypatch.setattr(module, "block_length", lambda *_: block)
    np.testing.assert_allclose(
        all_of(trained, ids[:200]), trained.session(memory=0).feed(ids[:200]), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 120), st.integers(1, 40), st.integers(1, 50), st.integers(5, 40))
def test_lanes_with_a_long_warm_up_agree_with_one_pass(
    trained: TrainedModel, ids: np.ndarray, size: int, lanes: int, length: int, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WARM_UP", size)  # the whole text, so the result is exact
        patch.setattr(module, "SHORTEST_SEGMENT", min(4, length))
        patch.setattr(module, "LONGEST_SEGMENT", length)
        patch.setattr(module, "block_length", lambda *_: block)
        found = all_of(trained, ids[:size], lanes=lanes)
    np.testing.assert_allclose(found, all_of(trained, ids[:size]), rtol=1e-4, atol=1e-5)


def test_a_long_text_is_read_in_many_lanes_with_nearly_the_same_score(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.random.default_rng(1).integers(4, len(trained.vocabulary), 6000)
    exact = all_of(trained, ids, lanes=1)
    monkeypatch.setattr(module, "WARM_UP", 256)
    monkeypatch.setattr(module, "SYMBOLS_PER_LANE", 512)
    monkeypatch.setattr(module, "LONGEST_SEGMENT", 512)
    plan = Protocol().plan(trained.model, len(ids))
    assert (plan.lanes, plan.segment, plan.warm_up) == (6000 // 512, 512, 256)
    quick = all_of(trained, ids)
    assert quick.mean() == pytest.approx(exact.mean(), rel=1e-3)
    assert np.abs(quick - exact).mean() < 0.05  # bfloat16 has three digits only
    np.testing.assert_allclose(quick, exact, atol=1)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(1, 45), st.integers(1, 300))
def test_a_cold_window_depends_on_the_symbol_before_it_only(
    trained: TrainedModel, ids: np.ndarray, size: int, cold: int, positions: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COLD_POSITIONS", positions)
        found = all_of(trained, ids[:size], cold=cold)
    wanted = []
    for start in range(0, size, cold):
        window = ids[start : min(start + cold, size)]
        if start == 0:
            wanted.append(trained.session(memory=0).feed(window))
            continue
        pair = np.concatenate(
            [ids[start - 1 : start], window]
        )  # from a zero state the symbol before comes first
        wanted.append(from_zero(trained, pair))
    np.testing.assert_allclose(found, np.concatenate(wanted), rtol=1e-4, atol=1e-5)


def from_zero(trained: TrainedModel, ids: np.ndarray) -> np.ndarray:
    """Returns the surprise of ids[1:], if the model reads ids[0] first, from the empty state."""
    column = torch.from_numpy(ids.astype(np.int64))[:, None]
    with torch.no_grad():
        logits, _ = trained.model(column[:-1], trained.model.initial_state(1))
        return losses(logits, column[1:])[:, 0].numpy()


def test_the_score_of_a_text_is_the_sum_of_its_parts(trained: TrainedModel, ids: np.ndarray) -> None:
    session = trained.session(memory=0)
    a, b = session.feed(ids[:300]), session.feed(ids[300:])
    assert all_of(trained, ids).sum(dtype=float) == pytest.approx(a.sum() + b.sum(), rel=1e-5)


def test_a_part_of_the_stream_begins_with_begin_and_ends_with_padding() -> None:
    ids = np.array([7, 8, 9], np.uint8)
    assert part_of_stream(ids, 0, 2).tolist() == [2, 7, 8]
    assert part_of_stream(ids, 1, 2).tolist() == [7, 8, 9]
    assert part_of_stream(ids, 2, 3).tolist() == [8, 9, 0, 0]
    assert part_of_stream(ids, 5, 1).tolist() == [0, 0]


def test_names_and_limits() -> None:
    assert (Protocol().name, Protocol(lanes=7).name, Protocol(cold=256).name) == (
        "streaming",
        "streaming",
        "cold-256",
    )
    with pytest.raises(InputError):
        Protocol(cold=0)
    with pytest.raises(InputError):
        Protocol(lanes=0)
