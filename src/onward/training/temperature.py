"""Temperature: how sure a model may be, found on text that it was not trained on.

A model that has read its text many times over is surer than it is right. Divided by one number, its logits
are calibrated again, and lose nothing of their order (temperature scaling: Guo et al. 2017, "On calibration
of modern neural networks"). The number becomes part of the weights, so that nothing else need know of it.
"""

import torch

from onward.data.symbols import Symbols
from onward.model import LanguageModel, block_length
from onward.shapes import Ids
from onward.training.validation import parts

FEWEST_SYMBOLS, MOST_SYMBOLS = 4096, 16_384
"""Of held-out text: of fewer the number would be chance, and more would not change it."""

_HIGHEST = 4.0
"""The highest temperature, and the inverse of the lowest: what asks for more is no text of that kind."""

_MOST_STEPS, _CLOSE = 10, 1e-3
"""Of Newton's method, and the relative change after which it ends. The loss is convex in the inverse of the
temperature."""


def temper(model: LanguageModel, tail: Symbols) -> float:
    """Divides the logits of a model, for good, by the temperature at which it predicts held-out text best.

    Args:
        model: in evaluation mode.
        tail: the text (N,), of which `MOST_SYMBOLS` are read, in `parts`: one pass takes ten times as long.

    Returns:
        The temperature: above 1 for a model that was too sure; 1 where there are fewer than `FEWEST_SYMBOLS`.
    """
    if len(tail) < FEWEST_SYMBOLS:
        return 1.0
    inverse, read = 1.0, parts(tail, min(len(tail), MOST_SYMBOLS))
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope_and_curvature(model, *read, inverse)
        if not curvature > 0:  # the model knows of one symbol alone at each place
            break
        before, inverse = inverse, min(max(inverse - slope / curvature, 1 / _HIGHEST), _HIGHEST)
        if abs(inverse - before) < _CLOSE * before:
            break
    model.scale_logits(inverse)
    return 1 / inverse


@torch.no_grad()
def _slope_and_curvature(model: LanguageModel, x: Ids, y: Ids, inverse: float) -> tuple[float, float]:
    """E[z] - z_y and Var[z] of logits z, summed: the loss derived once and twice by the inverse."""
    device = next(model.parameters()).device
    state, sums = model.initial_state(x.shape[1]), torch.zeros(2, dtype=torch.float64, device=device)
    block = block_length(x.shape[1], model.config.symbols)
    for before, after in zip(x.split(block), y.split(block), strict=True):
        logits, state = model(before.to(device), state)
        probabilities = torch.softmax(logits * inverse, -1)
        logits = logits - (probabilities * logits).sum(-1, keepdim=True)
        slopes = -logits.gather(-1, after.to(device)[..., None])
        variances = probabilities * logits.square()
        sums += torch.stack([slopes.sum(dtype=torch.float64), variances.sum(dtype=torch.float64)])
    return float(sums[0]), float(sums[1])
