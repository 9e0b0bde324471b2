"""Pseudo-labels: a classifier is also trained on unlabelled examples, with its own predictions as labels.

    train on the labelled examples -> predict the unlabelled ones -> train on a mix of both

Confident predictions are mostly right, and they show the model what the classes look like beyond the few
labelled examples. So the decision boundary moves out of dense regions of the data (Lee, Pseudo-Label, 2013).
The share of pseudo-labels in each batch is limited, because they far outnumber the true labels.
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

CHUNK = 500
"""Number of examples to predict at once."""

Train = Callable[[nn.Module, Sequence[Dataset[Any]], Sequence[float | int]], object]
"""Trains a model in place on a mix of data sets of (x, y) with given shares."""


@dataclass(frozen=True)
class PseudoLabels:
    """The predictions of a model for N unlabelled examples, over R rounds.

    Attributes:
        labels: the predicted labels, (R + 1, N); row 0 after training on the labelled examples, row r after
            round r on the mix.
        confidence: the probability of each of these labels, (R + 1, N).
        used: whether round r + 1 trained on the label in row r, (R, N).
        classes: C, the number of labels.
    """

    labels: Tensor
    confidence: Tensor
    used: Tensor
    classes: int

    @property
    def moved(self) -> Tensor:
        """The indices of examples whose last label differs from their first, (M,)."""
        return (self.labels[0] != self.labels[-1]).nonzero()[:, 0]

    def moves(self) -> Tensor:
        """Counts the examples by their first label (rows) and their last label (columns), (C, C)."""
        pairs = self.labels[0] * self.classes + self.labels[-1]
        return pairs.bincount(minlength=self.classes**2).view(self.classes, self.classes)

    def rounds(self) -> list[dict[str, int | float]]:
        """Returns for each round how many labels were `used` and `moved`, and the mean confidences."""
        return [
            {
                "used": int(self.used[r].sum()),
                "moved": int((self.labels[r] != self.labels[r + 1]).sum()),
                "confidence_before": float(self.confidence[r].mean()),
                "confidence_after": float(self.confidence[r + 1].mean()),
            }
            for r in range(len(self.used))
        ]


def pseudo_label(  # noqa: PLR0913 - options are keyword arguments
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
    """Trains a classifier on labelled examples, then on these and on unlabelled ones with predicted labels.

    Args:
        model: any module that returns logits (B, C) for a batch of x; trained in place.
        labelled: a data set of (x, y), or its tensors x (N, ...) and y (N,); labels start at 0.
        unlabelled: x (N, ...), or a data set of x; if its examples are tuples, the first member is x.
        share: share of pseudo-labelled examples in each batch.
        rounds: number of rounds; each predicts the labels and trains on the mix.
        soft: whether to train on predicted probabilities instead of the most likely label.
        threshold: labels with a lower probability are not used.
        restart: whether each round starts from the initial weights of the model, so that early mistakes do
            not last; False continues from the weights of the previous round.
        train: `train(model, sources, shares)`; the default is `ClassifierTraining()`.

    Returns:
        The predicted labels of all rounds. The model is left in evaluation mode.

    Raises:
        InputError: a share, threshold or number of rounds is out of range; there are no unlabelled examples;
            no label reaches the threshold; or the model does not return logits (B, C).
    """
    if not 0 < share < 1 or rounds < 1 or not 0 <= threshold <= 1:
        given = f"share={share}, rounds={rounds}, threshold={threshold}"
        raise InputError(
            f"expected a share between 0 and 1, rounds of 1 or more, a threshold from 0 to 1, got {given}"
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
        known = _Soft(data, probabilities.shape[1]) if soft else data
        if restart:
            model.load_state_dict(initial)
        train(model, [known, pseudo], [1 - share, share])
        used.append(chosen)
        history.append(predict(model, unlabelled))
    confidence, labels = torch.stack(history).max(2)
    return PseudoLabels(labels, confidence, torch.stack(used), history[0].shape[1])


@torch.inference_mode()
def predict(model: nn.Module, samples: Dataset[Any] | Tensor) -> Tensor:
    """Returns the probabilities of the labels of each example, (N, C) in float32 on the CPU.

    The model is left in evaluation mode.

    Raises:
        InputError: there are no examples, or the model does not return logits (B, C).
    """
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for x in _inputs(samples):
        logits = model(x.to(device))
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
            found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(f"expected logits ({len(x)}, classes) from the model, got {found}")
        parts.append(logits.float().softmax(1).cpu())
    if not parts:
        raise InputError("expected unlabelled examples, got none")
    return torch.cat(parts)


def _inputs(examples: Dataset[Any] | Tensor) -> Iterator[Tensor]:
    """Yields the inputs x of the examples, in chunks."""
    if isinstance(examples, Tensor):
        yield from examples.split(CHUNK) if len(examples) else ()
        return
    size = len(examples)  # type: ignore[arg-type]
    for start in range(0, size, CHUNK):
        yield torch.stack([_input(examples, i) for i in range(start, min(start + CHUNK, size))])


def _input(examples: Dataset[Any], index: int) -> Tensor:
    value = nested(examples[index], "the unlabelled data set")
    return value[0] if isinstance(value, tuple) else value


def _with_labels(
    examples: Dataset[Any] | Tensor, probabilities: Tensor, chosen: Tensor, *, soft: bool
) -> Dataset[Any]:
    """Returns the chosen examples with their predicted labels.

    Raises:
        InputError: no example is chosen.
    """
    indices = chosen.nonzero()[:, 0]
    if not len(indices):
        highest = int(1000 * float(probabilities.max())) / 1000  # rounded down, so that the hint works
        raise InputError(
            f"expected predictions above the threshold, but the highest probability is {highest:g}",
            hint=f"use a threshold of at most {highest:g}, or train for longer",
        )
    labels = probabilities[indices] if soft else probabilities[indices].argmax(1)
    if isinstance(examples, Tensor):
        return TensorDataset(examples[indices.to(examples.device)], labels.to(examples.device))
    return _Relabelled(examples, indices.tolist(), labels)


class _Relabelled(Dataset[Any]):
    """Some examples of a data set, with new labels."""

    def __init__(self, examples: Dataset[Any], indices: list[int], labels: Tensor) -> None:
        self._examples, self._indices, self._labels = examples, indices, labels

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return _input(self._examples, self._indices[index]), self._labels[index]


class _Soft(Dataset[Any]):
    """A data set of (x, y) with probabilities as labels: 1 for y, and 0 for the other classes."""

    def __init__(self, data: Dataset[Any], classes: int) -> None:
        self._data, self._classes = data, classes

    def __len__(self) -> int:
        return len(self._data)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self._data[index]
        return x, nn.functional.one_hot(torch.as_tensor(y), self._classes).float()
