"""The loss on text that training does not see: with a state of its own, of a model in evaluation mode."""

import torch
from torch import Tensor

from onward.data.lanes import as_stream
from onward.data.symbols import Symbols
from onward.model import LanguageModel, block_length, losses

CHECKED, FEWEST_CHECKED = 16_384, 1024
"""Symbols of the held-out tail that a check during training takes, at most and at least."""

REPORTED, FEWEST_REPORTED = 262_144, 16_384
"""Symbols of the held-out tail that the figure at the end of a run is the mean of, at most and at least."""

_CHECK_LANES, _SHORTEST_LANE = 16, 256


def checked_symbols(tail: int, trained: int) -> int:
    """Symbols of each check in a run that trains on so many: a hundredth of them, within limits.

    Ten checks then take about a thirtieth of the time, since a symbol is trained on in three times the time
    that it is scored in.
    """
    return min(tail, CHECKED, max(FEWEST_CHECKED, trained // 100))


def reported_symbols(tail: int, trained: int) -> int:
    """Symbols of the report after a run that trained on so many: a fortieth of them, within limits."""
    return min(tail, REPORTED, max(FEWEST_REPORTED, trained // 40))


def check(model: LanguageModel, tail: Symbols, size: int) -> float:
    """Mean nats per symbol of about `size` symbols of the tail, read in `parts` of it.

    That is higher than one pass would give, by what the starts cost: good for comparing moments of a run.
    Computed in the precision that is in force.
    """
    return _mean_nats(model, *parts(tail, size))


def parts(tail: Symbols, size: int) -> tuple[Tensor, Tensor]:
    """About `size` symbols of the tail in lanes that begin at evenly spaced places, each from BEGIN.

    Returns:
        x and y, each (T, B).
    """
    lanes = max(1, min(_CHECK_LANES, size // _SHORTEST_LANE))
    starts = [len(tail) // lanes * lane for lane in range(lanes)]
    x, y = zip(*(as_stream(tail[start : start + size // lanes]) for start in starts), strict=True)
    return torch.cat(x, 1), torch.cat(y, 1)


def report(model: LanguageModel, tail: Symbols) -> float:
    """Mean nats per symbol of the tail in one pass from BEGIN, state carried throughout."""
    return _mean_nats(model, *as_stream(tail))


@torch.no_grad()
def _mean_nats(model: LanguageModel, x: Tensor, y: Tensor) -> float:
    """Of all of y (T, B) given x (T, B)."""
    lanes, device = x.shape[1], next(model.parameters()).device
    block = block_length(lanes, model.config.symbols)
    state, total = model.initial_state(lanes), 0.0
    for a, b in zip(x.split(block), y.split(block), strict=True):
        logits, state = model(a.to(device), state)
        total += float(losses(logits, b.to(device)).sum(dtype=torch.float64))
    return total / y.numel()
