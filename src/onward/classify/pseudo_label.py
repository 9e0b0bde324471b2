"""Pseudo-labels: a classifier that also learns from samples nobody labelled, by its own predictions.

    train on the labelled -> predict the unlabelled -> train on both, a share of each batch pseudo-labelled

What the model is sure of, it is mostly right about, and those samples show it what the classes look like
beyond the few that were labelled: the boundary moves out of the dense regions of the data (Lee, Pseudo-Label,
2013). The share matters: there are far more pseudo-labels than labels, and they must not drown them.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from onward.classify.nested import nested
from onward.classify.training import ClassifierTraining
from onward.errors import InputError

AT_ONCE = 500

Train = Callable[[nn.Module, Sequence[Dataset[Any]], Sequence[float | int]], object]
"""Trains a model in place on a mix of data sets of (x, y), with these shares."""


@dataclass(frozen=True)
class PseudoLabels:
    """What a model said of N unlabelled samples, after each of its trainings.

    Attributes:
        labels: (R + 1, N); row 0 after training on the labelled alone, row r after round r on the mixture.
        confidence: (R + 1, N), the probability of each of these labels.
        used: (R, N), whether the label of row r was trained on in round r + 1.
        classes: C.
    """

    labels: Tensor
    confidence: Tensor
    used: Tensor
    classes: int

    @property
    def moved(self) -> Tensor:
        """The samples whose label at the end is not the first one, (M,), as indices."""
        return (self.labels[0] != self.labels[-1]).nonzero()[:, 0]

    def moves(self) -> Tensor:
        """How many samples went from each label (rows) to each label (columns), (C, C)."""
        pairs = self.labels[0] * self.classes + self.labels[-1]
        return pairs.bincount(minlength=self.classes**2).view(self.classes, self.classes)

    def rounds(self) -> list[dict[str, int | float]]:
        """Of each round: labels `used`, labels that `moved` in it, mean `confidence` before and after it."""
        return [
            {
                "used": int(self.used[r].sum()),
                "moved": int((self.labels[r] != self.labels[r + 1]).sum()),
                "confidence_before": float(self.confidence[r].mean()),
                "confidence_after": float(self.confidence[r + 1].mean()),
            }
            for r in range(len(self.used))
        ]


def pseudo_label(  # noqa: PLR0913 - the three that matter come first, the rest by name
    model: nn.Module,
    labelled: Dataset[Any] | tuple[Tensor, Tensor],
    unlabelled: Dataset[Any] | Tensor,
    share: float = 0.25,
    *,
    rounds: int = 1,
    soft: bool = False,
    threshold: float = 0.0,
    restart: bool = True,
    train: Train | None = None,
) -> PseudoLabels:
    """Trains a classifier on the labelled, then on the labelled and its own labels of the unlabelled.

    Args:
        model: gives logits (B, C) for a batch of x; any module, trained in place.
        labelled: a data set of (x, y), or its tensors x (N, ...) and y (N,); y is a label from 0 on.
        unlabelled: x (N, ...), or a data set of x; of tuples, (x, y) say, the first member is taken.
        share: of each batch that is pseudo-labelled.
        rounds: how often it predicts and trains on the mixture.
        soft: trains on the predicted probabilities; otherwise on the likeliest label.
        threshold: the probability below which a label is not used.
        restart: trains from the weights that the model came with each time, as if there had been no round
            before. That lets go of early mistakes; False goes on from the weights of the round before.
        train: `train(model, sources, shares)`; `ClassifierTraining()` where it is not given.

    Returns:
        What became of the labels. The model is in evaluation mode.

    Raises:
        InputError: a share, threshold or number of rounds out of range; nothing unlabelled; no label as sure
            as the threshold; a model that gives no logits (B, C).
    """
    if not 0 < share < 1 or rounds < 1 or not 0 <= threshold <= 1:
        given = f"share={share}, rounds={rounds}, threshold={threshold}"
        raise InputError(
            f"expected a share between 0 and 1, 1 round or more, a threshold of 0 to 1, got {given}"
        )
    data = TensorDataset(*labelled) if isinstance(labelled, tuple) else labelled
    train = train or ClassifierTraining()
    initial = copy.deepcopy(model.state_dict()) if restart else {}
    train(model, [data], [1.0])
    history, used = [predict(model, unlabelled)], []
    for _ in range(rounds):
        probabilities = history[-1]
        chosen = probabilities.max(1).values >= threshold
        pseudo = _with_labels(unlabelled, probabilities, chosen, soft=soft)
        sure = _Soft(data, probabilities.shape[1]) if soft else data
        if restart:
            model.load_state_dict(initial)
        train(model, [sure, pseudo], [1 - share, share])
        used.append(chosen)
        history.append(predict(model, unlabelled))
    confidence, labels = torch.stack(history).max(2)
    return PseudoLabels(labels, confidence, torch.stack(used), history[0].shape[1])


@torch.inference_mode()
def predict(model: nn.Module, samples: Dataset[Any] | Tensor) -> Tensor:
    """The probabilities (N, C) of each sample's labels, float32 on the CPU. It ends in evaluation mode.

    Raises:
        InputError: there are no samples, or the model gives no logits (B, C).
    """
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for x in _inputs(samples):
        logits = model(x.to(device))
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
            found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(f"expected logits ({len(x)}, classes) of the model, got {found}")
        parts.append(logits.float().softmax(1).cpu())
    if not parts:
        raise InputError("expected unlabelled samples, got none")
    return torch.cat(parts)


def _inputs(samples: Dataset[Any] | Tensor) -> Iterator[Tensor]:
    """The x of the samples, some at once."""
    if isinstance(samples, Tensor):
        yield from samples.split(AT_ONCE) if len(samples) else ()
        return
    size = len(samples)  # type: ignore[arg-type]
    for start in range(0, size, AT_ONCE):
        yield torch.stack([_input(samples, i) for i in range(start, min(start + AT_ONCE, size))])


def _input(samples: Dataset[Any], index: int) -> Tensor:
    """The x of one sample."""
    value = nested(samples[index], "the unlabelled data set")
    return value[0] if isinstance(value, tuple) else value


def _with_labels(
    samples: Dataset[Any] | Tensor, probabilities: Tensor, chosen: Tensor, *, soft: bool
) -> Dataset[Any]:
    """The chosen samples with their predictions.

    Raises:
        InputError: none is chosen.
    """
    indices = chosen.nonzero()[:, 0]
    if not len(indices):
        surest = int(1000 * float(probabilities.max())) / 1000  # rounded down, so that it can be taken
        raise InputError(
            f"no prediction is as sure as the threshold: the surest has {surest:g}",
            hint=f"take a threshold of at most {surest:g}, or train for longer",
        )
    labels = probabilities[indices] if soft else probabilities[indices].argmax(1)
    if isinstance(samples, Tensor):
        return TensorDataset(samples[indices.to(samples.device)], labels.to(samples.device))
    return _Labelled(samples, indices.tolist(), labels)


class _Labelled(Dataset[Any]):
    """Some samples of a data set, with labels."""

    def __init__(self, samples: Dataset[Any], indices: list[int], labels: Tensor) -> None:
        self._samples, self._indices, self._labels = samples, indices, labels

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return _input(self._samples, self._indices[index]), self._labels[index]


class _Soft(Dataset[Any]):
    """A data set of (x, y) whose labels became probabilities: 1 for the label, 0 for the others."""

    def __init__(self, data: Dataset[Any], classes: int) -> None:
        self._data, self._classes = data, classes

    def __len__(self) -> int:
        return len(self._data)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self._data[index]
        return x, nn.functional.one_hot(torch.as_tensor(y), self._classes).float()
