"""Where samples start: the model after a prompt."""

from dataclasses import dataclass

import numpy as np

from onward.inference.step.stepper import Stepper
from onward.layers.state import State
from onward.memory.memory import Memory

MOST_LOOKED_BACK = 4096
"""Maximum number of symbols of a prompt that penalties look back."""


@dataclass(frozen=True)
class PromptState:
    """Where samples start.

    Attributes:
        logits: the network's logits after the prompt, (1, V).
        state: state of one lane.
        recent: the last symbols of the prompt, (n,).
        memory: the memory after the prompt, if it learned; it does not learn from the samples.
        stepper: steps weights that learned from the prompt; None: the weights of the model.
    """

    logits: np.ndarray
    state: State
    recent: np.ndarray
    memory: Memory | None = None
    stepper: Stepper | None = None
