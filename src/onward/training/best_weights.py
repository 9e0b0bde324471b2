"""The weights with the lowest held-out loss."""

import math
from dataclasses import dataclass, field

from torch import Tensor

from onward.artefact import set_weights, weights_of
from onward.model import LanguageModel


@dataclass
class BestWeights:
    """The weights that a run saves at its end.

    Attributes:
        nats_per_symbol: the lowest held-out loss so far; infinity before the first check.
        step: the step with that loss.
        weights: a copy of the weights after that step.
    """

    nats_per_symbol: float = math.inf
    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, nats_per_symbol: float, step: int, model: LanguageModel) -> bool:
        """Copies the model's weights if their loss is the lowest so far; returns whether it is."""
        if not nats_per_symbol < self.nats_per_symbol:
            return False
        self.nats_per_symbol = nats_per_symbol
        self.keep(step, model)
        return True

    def keep(self, step: int, model: LanguageModel) -> None:
        """Copies the model's weights, whatever their loss."""
        self.step = step
        self.weights = {name: weight.detach().clone() for name, weight in weights_of(model).items()}

    def restore(self, model: LanguageModel) -> None:
        """Puts the best weights into the model."""
        set_weights(model, self.weights)
