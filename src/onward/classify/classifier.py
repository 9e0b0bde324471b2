"""The sequence classifier: many symbols in, one label out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from onward.data.vocabulary import NULL
from onward.errors import RecipeError
from onward.model import LanguageModel

Samples = Int[Tensor, "samples time"]
"""Symbols of sequences that know nothing of each other, (B, T)."""

Labels = Float[Tensor, "samples labels"]
"""Unnormalised log-probabilities of each sequence's labels, (B, C)."""


class SequenceClassifier(nn.Module):
    """Embedding and layers of a language model, and a readout of the labels at the last step.

    A sequence is read from the initial state to its end, and only what the layers give there goes on: the
    state has to have kept what matters. Sequences of different lengths are filled up with the null symbol
    behind their end; nothing after the last other symbol has any part in the result.

    It takes samples first, (B, T), as every torch classifier does and as `MixIterator` joins them, unlike the
    layers, which are time-major.

    Args:
        model: whose embedding and stack are used, not copied: a new one, or one that was trained to predict,
            which then starts from what it knows about the symbols. Its readout is left out.
        labels: C, how many there are.

    Raises:
        RecipeError: fewer than two labels.
    """

    def __init__(self, model: LanguageModel, labels: int) -> None:
        super().__init__()
        if labels < 2:
            raise RecipeError(f"expected 2 labels or more to tell apart, got {labels}")
        self.embedding = model.embedding
        self.stack = model.stack
        self.readout = nn.Linear(self.stack.width_out, labels)

    def forward(self, ids: Samples) -> Labels:
        """Logits (B, C) in float32 of sequences of symbols (B, T)."""
        x, _ = self.stack(self.embedding(ids.t()), self.stack.initial_state(len(ids)))  # (T, B, D)
        last = last_steps(ids)
        return self.readout(x[last, torch.arange(len(ids), device=ids.device)]).float()


def last_steps(ids: Samples) -> Tensor:
    """Where each sequence (B, T) has its last symbol other than null, (B,); 0 where it has none."""
    steps = torch.arange(ids.shape[1], device=ids.device)
    return (steps * (ids != NULL)).amax(1)
