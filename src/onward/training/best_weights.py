"""The weights with the lowest loss on the held-out tail."""

import math
from dataclasses import dataclass, field

from torch import Tensor

from onward.artefact import set_weights, weights_of
from onward.model import LanguageModel


@dataclass
class Best:
    """What a run keeps to save in the end.

    Attributes:
        nats_per_symbol: the lowest loss of a check so far; infinite before the first.
        step: after which it was found.
        weights: those that had it.
    """

    nats_per_symbol: float = math.inf
    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, nats_per_symbol: float, step: int, model: LanguageModel) -> bool:
        """Keeps the model's weights if their loss is the lowest so far; whether it was."""
        if not nats_per_symbol < self.nats_per_symbol:
            return False
        self.nats_per_symbol = nats_per_symbol
        self.keep(step, model)
        return True

    def keep(self, step: int, model: LanguageModel) -> None:
        """Keeps a copy of the model's weights."""
        self.step = step
        self.weights = {name: weight.detach().clone() for name, weight in weights_of(model).items()}

    def put_into(self, model: LanguageModel) -> None:
        """Makes these the weights of the model."""
        set_weights(model, self.weights)
