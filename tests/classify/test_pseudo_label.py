from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from onward.classify.pseudo_label import PseudoLabels, predict, pseudo_label
from onward.classify.training import ClassifierTraining
from onward.errors import DivergedError, InputError, RecipeError

QUICK = ClassifierTraining(steps=60, batch=16, rate=1e-2)


class Examples(Dataset[Any]):
    """A data set that is read example by example."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> Any:
        example = [tensor[index] for tensor in self.tensors]
        return tuple(example) if len(example) > 1 else example[0]


def clusters(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns points of three separate clusters, (N, 2), and the index of their cluster, (N,)."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count,), generator=generator)
    centres = torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    return centres[y] + 0.4 * torch.randn(count, 2, generator=generator), y


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


class Recorder:
    """A training that records its arguments and changes the weights."""

    def __init__(self) -> None:
        self.sources: list[list[Dataset[Any]]] = []
        self.shares: list[list[float]] = []
        self.weights: list[Tensor] = []

    def __call__(
        self, model: nn.Module, sources: Sequence[Dataset[Any]], shares: Sequence[float | int]
    ) -> None:
        weight = next(model.parameters())
        self.weights.append(weight.detach().clone())
        self.sources.append(list(sources))
        self.shares.append(list(shares))
        with torch.no_grad():
            weight.add_(1.0)


def test_unlabelled_samples_get_the_right_labels() -> None:
    x, y = clusters(300, 1)
    model = network()
    report = pseudo_label(model, clusters(12, 2), x, rounds=2, train=QUICK)
    assert (report.labels[-1] == y).float().mean() > 0.97
    assert torch.equal(report.labels[-1], predict(model, x).argmax(1))
    assert not model.training


def test_soft_labels_work_too() -> None:
    x, y = clusters(300, 1)
    report = pseudo_label(network(), clusters(12, 2), Examples(x, y), soft=True, train=QUICK)
    assert (report.labels[-1] == y).float().mean() > 0.97


def test_training_starts_with_the_labelled_samples_and_continues_with_the_mix() -> None:
    record, labelled = Recorder(), TensorDataset(*clusters(12, 2))
    x, _ = clusters(40, 1)
    report = pseudo_label(network(), labelled, x, 0.3, rounds=2, train=record)
    assert record.shares == [[1.0], [0.7, 0.3], [0.7, 0.3]]
    assert [sources[0] for sources in record.sources] == [labelled] * 3
    for r in range(2):
        xs, ys = record.sources[r + 1][1].tensors  # type: ignore[attr-defined]
        assert torch.equal(xs, x)
        assert torch.equal(ys, report.labels[r])


@pytest.mark.parametrize("restart", [True, False])
def test_each_round_restarts_or_continues(restart: bool) -> None:
    record = Recorder()
    pseudo_label(network(), clusters(12, 2), clusters(9, 1)[0], rounds=2, restart=restart, train=record)
    starts = [float((weight - record.weights[0]).mean()) for weight in record.weights]
    assert starts == pytest.approx([0, 0, 0] if restart else [0, 1, 2])


def test_a_threshold_keeps_confident_labels() -> None:
    record = Recorder()
    x, _ = clusters(200, 1)
    first = predict(network(), x)  # the recorder's step is not in it yet
    assert first.shape == (200, 3)
    report = pseudo_label(network(), clusters(12, 2), x, threshold=0.6, train=record)
    xs, ys = record.sources[1][1].tensors  # type: ignore[attr-defined]
    sure = report.confidence[0] >= 0.6
    assert 0 < sure.sum() < 200
    assert torch.equal(report.used[0], sure)
    assert torch.equal(xs, x[sure])
    assert torch.equal(ys, report.labels[0][sure])


@pytest.mark.parametrize("kind", ["tensor", "data set", "data set with labels"])
@pytest.mark.parametrize("soft", [False, True])
def test_unlabelled_examples_may_have_any_form(kind: str, soft: bool) -> None:
    x, y = clusters(60, 1)
    forms = {"tensor": x, "data set": Examples(x), "data set with labels": Examples(x, y)}
    record = Recorder()
    report = pseudo_label(network(), Examples(*clusters(12, 2)), forms[kind], soft=soft, train=record)
    source = record.sources[1][1]
    one, label = source[7]
    assert torch.equal(one, x[7])
    if soft:
        assert label.shape == (3,)
        assert label[report.labels[0, 7]] == report.confidence[0, 7]
        assert torch.equal(record.sources[1][0][0][1].nonzero()[0], clusters(12, 2)[1][:1])
    else:
        assert label == report.labels[0, 7]


def test_moves_between_labels_are_counted() -> None:
    labels = torch.tensor([[0, 0, 1, 2, 2], [0, 1, 1, 2, 0], [0, 1, 1, 1, 2]])
    confidence = torch.tensor([[0.5] * 5, [0.75] * 5, [1.0] * 5])
    used = torch.tensor([[True] * 5, [True, False, True, False, True]])
    report = PseudoLabels(labels, confidence, used, 3)
    assert report.moved.tolist() == [1, 3]
    assert report.moves().tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 1]]
    assert report.rounds() == [
        {"used": 5, "moved": 2, "confidence_before": 0.5, "confidence_after": 0.75},
        {"used": 3, "moved": 2, "confidence_before": 0.75, "confidence_after": 1.0},
    ]


def test_predictions_are_probabilities_without_dropout() -> None:
    model, (x, _) = network().train(), clusters(1100, 1)
    first, second = predict(model, x), predict(model, Examples(x))
    assert torch.equal(first, second)
    torch.testing.assert_close(first.sum(1), torch.ones(1100))


@pytest.mark.parametrize(
    "options", [{"share": 0.0}, {"share": 1.0}, {"rounds": 0}, {"threshold": 1.5}], ids=str
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"expected a share between 0 and 1.* got "):
        pseudo_label(network(), clusters(12, 2), clusters(9, 1)[0], **options, train=QUICK)


def test_no_confident_label_is_an_error_with_a_hint() -> None:
    with pytest.raises(InputError, match="expected predictions above the threshold") as caught:
        pseudo_label(network(), clusters(12, 2), clusters(9, 1)[0], threshold=1.0, train=Recorder())
    assert "use a threshold of at most 0." in caught.value.hint


@pytest.mark.parametrize("lead", [7.9, 8.1, 12.0])
def test_the_threshold_in_the_hint_works(lead: float) -> None:
    """If it were rounded up, it would be refused again."""
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(torch.tensor([lead, 0.0]))
    data, x = (torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)), torch.zeros(3, 2)
    with pytest.raises(InputError) as caught:
        pseudo_label(model, data, x, threshold=1.0, train=Recorder())
    threshold = float(caught.value.hint.split("at most ")[1].split(",")[0])
    assert pseudo_label(model, data, x, threshold=threshold, train=Recorder()).used.all()


def test_no_unlabelled_samples_is_an_error() -> None:
    with pytest.raises(InputError, match="expected unlabelled examples, got none"):
        pseudo_label(network(), clusters(12, 2), torch.zeros(0, 2), train=Recorder())


def test_a_model_with_other_outputs_is_an_error() -> None:
    with pytest.raises(InputError, match=r"expected logits \(9, classes\) from the model, got \[9, 2, 1\]"):
        predict(nn.Sequential(nn.Linear(2, 2), nn.Unflatten(1, (2, 1))), clusters(9, 1)[0])


def test_a_loss_of_nan_is_an_error() -> None:
    x, y = clusters(50, 1)
    with pytest.raises(DivergedError, match="the loss of the classifier is nan after 100 steps"):
        ClassifierTraining(steps=100)(network(), [TensorDataset(x * float("nan"), y)], [1.0])


@pytest.mark.parametrize("values", [{"steps": 0}, {"batch": 0}, {"rate": 0.0}, {"clip": -1.0}], ids=str)
def test_wrong_training_options_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=f"{next(iter(values))} must be a (whole )?number .* got "):
        ClassifierTraining(**values)


def test_training_returns_the_last_loss() -> None:
    loss = ClassifierTraining(steps=100, rate=1e-2)(network(), [TensorDataset(*clusters(200, 1))], [1.0])
    assert 0 < loss < 0.3
