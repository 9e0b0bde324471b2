from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from onward.classify.classifier import SequenceClassifier, last_steps
from onward.classify.pseudo_label import pseudo_label
from onward.classify.training import ClassifierTraining
from onward.data.encoded import Encoding, encode_text
from onward.errors import DivergedError, RecipeError
from onward.model import LanguageModel, ModelConfig

SYMBOLS = 20


def model(**options) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(symbols=SYMBOLS, width=16, layers=1, **options))


def sequences(count: int, length: int) -> torch.Tensor:
    return torch.randint(4, SYMBOLS, (count, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_the_readout_uses_the_last_step(layer: str) -> None:
    language = model(layer=layer)
    classifier = SequenceClassifier(language, 3)
    ids = sequences(5, 7)
    h, _ = language.stack(language.embedding(ids.t()), language.stack.initial_state(5))
    torch.testing.assert_close(classifier(ids), classifier.readout(h[-1]))


def test_padding_does_not_change_the_result() -> None:
    classifier = SequenceClassifier(model(), 3).eval()
    ids = sequences(4, 9)
    ids[1, 5:] = 0
    torch.testing.assert_close(classifier(ids)[1:2], classifier(ids[1:2, :5]))


def test_nulls_before_the_end_are_symbols() -> None:
    ids = torch.tensor([[5, 0, 6, 0], [0, 0, 0, 0], [5, 6, 7, 8]])
    assert last_steps(ids).tolist() == [2, 0, 3]


def test_embedding_and_stack_are_shared_with_the_model() -> None:
    language = model()
    classifier = SequenceClassifier(language, 2)
    assert classifier.embedding.weight is language.embedding.weight
    assert not any(
        "readout.weight" in name and len(p) == SYMBOLS for name, p in classifier.named_parameters()
    )


def test_one_label_is_refused() -> None:
    with pytest.raises(RecipeError, match="expected 2 labels or more, got 1"):
        SequenceClassifier(model(), 1)


def first_symbol(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns sequences whose label depends only on their first symbol."""
    ids = torch.randint(4, SYMBOLS, (count, 5))
    return ids, (ids[:, 0] >= 12).long()


def test_a_classifier_learns_from_the_first_symbol_alone() -> None:
    classifier = SequenceClassifier(model(), 2)
    x, y = first_symbol(2000)
    ClassifierTraining(steps=200, rate=5e-3)(classifier, [TensorDataset(x, y)], [1.0])
    x, y = first_symbol(500)
    assert (classifier.eval()(x).argmax(1) == y).float().mean() > 0.95


def test_a_classifier_learns_from_pseudo_labels() -> None:
    classifier = SequenceClassifier(model(), 2)
    x, _ = first_symbol(300)
    report = pseudo_label(classifier, first_symbol(100), x, train=ClassifierTraining(steps=20))
    assert report.labels.shape == (2, 300)
    assert report.classes == 2


def test_a_short_run_reports_a_loss_that_is_not_finite() -> None:
    classifier = SequenceClassifier(model(), 2)
    with torch.no_grad():
        classifier.embedding.weight.fill_(torch.nan)
    with pytest.raises(DivergedError, match="nan after 3 steps") as caught:
        ClassifierTraining(steps=3)(classifier, [TensorDataset(*first_symbol(100))], [1.0])
    assert "use a rate below" in caught.value.hint


LENGTH = 100


def passages(text: str, other: str) -> tuple[TensorDataset, TensorDataset, int]:
    """Returns passages for training and held-out passages of both texts, and the vocabulary size."""
    encoded = encode_text(text + other, Encoding())
    ids = torch.from_numpy(np.asarray(encoded.ids).astype("int64"))
    training, held_out = [], []
    for label, part in enumerate((ids[: len(text)], ids[len(text) :])):
        cut = len(part) * 9 // 10
        for kept, piece, stride in ((training, part[:cut], 20), (held_out, part[cut:], LENGTH)):
            windows = piece.unfold(0, LENGTH, stride)
            kept.append((windows, torch.full((len(windows),), label)))
    joined = [
        TensorDataset(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))
        for pairs in (training, held_out)
    ]
    return joined[0], joined[1], len(encoded.vocabulary)


@pytest.mark.slow
def test_a_classifier_separates_nietzsche_from_shakespeare_by_100_characters(shared_data: Path) -> None:
    texts = [
        (shared_data / path).read_text(encoding="utf-8").lower()
        for path in ("nietzsche/nietzsche.txt", "tinyshakespeare/input.txt")
    ]
    training, held_out, symbols = passages(*texts)
    torch.manual_seed(0)
    classifier = SequenceClassifier(
        LanguageModel(ModelConfig(symbols=symbols, width=64, layers=2, dropout=0.1)), 2
    )
    ClassifierTraining(steps=600, rate=3e-3)(classifier, [training], [1.0])
    classifier.eval()
    with torch.inference_mode():
        x, y = held_out.tensors
        right = (classifier(x).argmax(1) == y).float()
    assert min(right[y == label].mean().item() for label in (0, 1)) >= 0.95
