"""A classifier that maps a sequence of symbols to one label."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from onward.data.vocabulary import NULL
from onward.errors import RecipeError
from onward.model import LanguageModel

Examples = Int[Tensor, "examples time"]
"""Symbols of independent sequences, (B, T)."""

Labels = Float[Tensor, "examples labels"]
"""Unnormalised log-probabilities of the labels of each sequence, (B, C)."""


class SequenceClassifier(nn.Module):
    """The embedding and layers of a language model, with a readout of labels at the last step.

    A sequence is read from the initial state to its end, and only the last output of the layers is used.
    Shorter sequences of a batch are padded with the null symbol after their end, which does not affect the
    result.

    Inputs are (B, T), like those of other torch classifiers and the batches of `MixIterator`. The layers
    themselves are time-major.

    Args:
        model: the classifier uses its embedding and its stack without copying them, but not its readout. A
            pretrained model helps, because its weights already represent the symbols.
        labels: C, the number of labels.

    Raises:
        RecipeError: there are fewer than two labels.
    """

    def __init__(self, model: LanguageModel, labels: int) -> None:
        super().__init__()
        if labels < 2:
            raise RecipeError(f"expected 2 labels or more, got {labels}")
        self.embedding = model.embedding
        self.stack = model.stack
        self.readout = nn.Linear(self.stack.width_out, labels)

    def forward(self, ids: Examples) -> Labels:
        """Returns the logits (B, C) in float32 of sequences (B, T)."""
        x, _ = self.stack(self.embedding(ids.t()), self.stack.initial_state(len(ids)))  # (T, B, D)
        last = last_steps(ids)
        return self.readout(x[last, torch.arange(len(ids), device=ids.device)]).float()  # (B, C)


def last_steps(ids: Examples) -> Tensor:
    """Returns the index of the last symbol that is not null in each sequence (B, T), or 0, (B,)."""
    steps = torch.arange(ids.shape[1], device=ids.device)
    return (steps * (ids != NULL)).amax(1)
