"""The held-out loss: scored with its own recurrent state, by a model in evaluation mode."""

import torch
from torch import Tensor

from onward.data.lanes import as_stream
from onward.data.symbols import Symbols
from onward.model import LanguageModel, block_length, losses

CHECKED, FEWEST_CHECKED = 16_384, 1024
"""Limits of the number of held-out symbols that a check during training scores."""

REPORTED, FEWEST_REPORTED = 262_144, 16_384
"""Limits of the number of held-out symbols that the report at the end of a run scores."""

_CHECK_LANES, _SHORTEST_LANE = 16, 256


def checked_symbols(held_out: int, trained: int) -> int:
    """Returns the number of symbols to score in each check: 1 % of those trained on, within limits.

    Ten checks then take about a thirtieth of the run, since training on a symbol takes three times as long as
    scoring it.

    Args:
        held_out: size of the held-out text.
        trained: number of symbols that the run trains on.
    """
    return min(held_out, CHECKED, max(FEWEST_CHECKED, trained // 100))


def reported_symbols(held_out: int, trained: int) -> int:
    """Returns the number of symbols to score at the end: 2.5 % of those trained on, within limits."""
    return min(held_out, REPORTED, max(FEWEST_REPORTED, trained // 40))


def check(model: LanguageModel, held_out: Symbols, size: int) -> float:
    """Returns the mean loss, in nats per symbol, of about `size` held-out symbols (see `held_out_lanes`).

    Each lane starts from an empty state, so the loss is higher than in one pass: compare checks only with
    checks. The precision is that of the enclosing autocast context.
    """
    return _mean_nats(model, *held_out_lanes(held_out, size))


def held_out_lanes(held_out: Symbols, size: int) -> tuple[Tensor, Tensor]:
    """Splits about `size` held-out symbols into lanes, which start with BEGIN at evenly spaced positions.

    Returns:
        x and y, each (T, B).
    """
    lanes = max(1, min(_CHECK_LANES, size // _SHORTEST_LANE))
    starts = [len(held_out) // lanes * lane for lane in range(lanes)]
    x, y = zip(*(as_stream(held_out[start : start + size // lanes]) for start in starts), strict=True)
    return torch.cat(x, 1), torch.cat(y, 1)


def report(model: LanguageModel, held_out: Symbols) -> float:
    """Returns the mean loss of the held-out text, in nats per symbol, in one pass that starts with BEGIN."""
    return _mean_nats(model, *as_stream(held_out))


@torch.no_grad()
def _mean_nats(model: LanguageModel, x: Tensor, y: Tensor) -> float:
    """Returns the mean loss of y (T, B) given x (T, B)."""
    lanes, device = x.shape[1], next(model.parameters()).device
    block = block_length(lanes, model.config.symbols)
    state, total = model.initial_state(lanes), 0.0
    for a, b in zip(x.split(block), y.split(block), strict=True):
        logits, state = model(a.to(device), state)
        total += float(losses(logits, b.to(device)).sum(dtype=torch.float64))
    return total / y.numel()
