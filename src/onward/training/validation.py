"""The loss on text that training does not see, in evaluation mode and with a state of its own."""

import numpy as np
import torch

from onward.data.lanes import as_stream
from onward.data.symbols import Symbols
from onward.model import LanguageModel, losses

CHECKED = 16_384
"""Symbols of the held-out tail that a check during training takes, so that checks stay cheap."""

CHECK_LANES = 16
REPORTED = 262_144
"""Symbols of the held-out tail, at most, that the figure at the end of a run is the mean of."""

_BLOCK = 4096


def check(model: LanguageModel, tail: Symbols) -> float:
    """Mean nats per symbol of the beginning of the tail, in lanes that each start from a zero state.

    Higher than one pass would give, by what the starts cost: good for comparing moments of a run. Computed
    in the precision that is in force.
    """
    size = min(len(tail), CHECKED)
    lanes = max(1, min(CHECK_LANES, size // 256))
    rows = np.asarray(tail[: size // lanes * lanes]).reshape(lanes, -1)
    x, y = zip(*(as_stream(row) for row in rows), strict=True)
    return _mean_nats(model, torch.cat(x, 1), torch.cat(y, 1))


def report(model: LanguageModel, tail: Symbols) -> float:
    """Mean nats per symbol of the tail in one pass from BEGIN, state carried throughout."""
    return _mean_nats(model, *as_stream(tail[:REPORTED]))


@torch.no_grad()
def _mean_nats(model: LanguageModel, x: torch.Tensor, y: torch.Tensor) -> float:
    """Of all of y (T, B) given x (T, B). The model is left in the mode it was in."""
    training = model.training
    model.eval()
    state, total = model.initial_state(x.shape[1]), 0.0
    for a, b in zip(x.split(_BLOCK), y.split(_BLOCK), strict=True):
        logits, state = model(a, state)
        total += float(losses(logits, b).sum(dtype=torch.float64))
    model.train(training)
    return total / y.numel()
