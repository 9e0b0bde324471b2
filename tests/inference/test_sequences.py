import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.data.vocabulary import END, Vocabulary
from onward.errors import VocabularyError
from onward.inference import sequences as module
from onward.inference.sequences import score_sequences
from onward.inference.trained import TrainedModel

SEQUENCES = st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=12)


def one_by_one(trained: TrainedModel, sequence: list[int]) -> np.ndarray:
    return trained.session().feed(np.array([*sequence, END]))


@settings(max_examples=25, deadline=None)
@given(SEQUENCES, st.booleans(), st.sampled_from([1, 1 << 12, 1 << 24]), st.sampled_from([1, 5, 2048]))
def test_sequences_are_read_as_if_each_were_alone(
    trained: TrainedModel, sequences: list[list[int]], once: bool, call: int, positions: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CALL", call)
        patch.setattr(module, "positions_at_once", lambda _: positions)
        scores = score_sequences(trained.model, trained.vocabulary, sequences, once=once)
    assert scores.nats.shape == (len(sequences),)
    for index, sequence in enumerate(sequences):
        alone = one_by_one(trained, sequence)
        np.testing.assert_allclose(scores.events(index), alone, rtol=1e-4, atol=1e-5)
        assert scores.nats[index] == pytest.approx(alone.sum(), rel=1e-5)


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_every_layer_in_small_groups(make, layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = make(layer=layer)
    monkeypatch.setattr(module, "_LARGEST_TABLE", 40)
    generator = np.random.default_rng(0)
    sequences = [generator.integers(4, 7, size) for size in generator.integers(0, 15, 30)]
    scores = score_sequences(trained.model, trained.vocabulary, sequences)
    for index, sequence in enumerate(sequences):
        np.testing.assert_allclose(
            scores.events(index), one_by_one(trained, [*sequence]), rtol=1e-4, atol=1e-5
        )


def test_what_is_the_same_is_read_once(trained: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    kept = module.surprise

    def counted(model, x, y, state):
        read.append(x.numel())
        return kept(model, x, y, state)

    monkeypatch.setattr(module, "surprise", counted)
    monkeypatch.setattr(module, "_CALL", 0)
    common = [4, 5, 6, 7, 8, 9]
    sequences = [[*common, 10], [*common, 11], [*common, 10]] * 50
    score_sequences(trained.model, trained.vocabulary, sequences)
    assert sum(read) == len(common) + 2 * 2
    read.clear()
    score_sequences(trained.model, trained.vocabulary, sequences, once=False)
    assert sum(read) == 150 * (len(common) + 2)


def test_ids_of_two_bytes_are_told_apart(make) -> None:
    trained = make(Vocabulary.of_text("".join(map(chr, range(0x4E00, 0x4E00 + 600))), "characters"))
    sequences = [[259, 3, 1], [1, 3, 259], [259, 3], [3], []]
    scores = score_sequences(trained.model, trained.vocabulary, sequences)
    for index, sequence in enumerate(sequences):
        np.testing.assert_allclose(scores.events(index), one_by_one(trained, sequence), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [[[4, 99]], [[4], [-1]], [np.array([0.5])], [np.array([[4, 5]])]])
def test_what_is_no_ids_is_refused(trained: TrainedModel, wrong: list) -> None:
    with pytest.raises(VocabularyError, match="ids"):
        score_sequences(trained.model, trained.vocabulary, wrong)
