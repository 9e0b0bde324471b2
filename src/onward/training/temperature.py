"""Temperature scaling: calibrates the probabilities of a model on held-out text.

A model that has been trained on its text for many epochs is overconfident. Dividing its logits by one number
calibrates it, and keeps the order of the symbols (Guo et al. 2017, "On calibration of modern neural
networks"). The number becomes part of the weights, so users of the model need not know it.
"""

import torch

from onward.data.symbols import Symbols
from onward.model import LanguageModel, block_length
from onward.shapes import Ids
from onward.training.validation import held_out_lanes

FEWEST_SYMBOLS, MOST_SYMBOLS = 4096, 16_384
"""Limits of the held-out text. Less text gives a noisy temperature; more text does not change it."""

_HIGHEST = 4.0
"""The highest temperature, and the inverse of the lowest one. A temperature beyond these limits would only
show that the held-out text is of another kind than the training text."""

_MOST_STEPS, _TOLERANCE = 10, 1e-3
"""Newton's method stops after this many steps, or if the relative change is below the tolerance. The loss is
convex in the inverse of the temperature."""


def calibrate_temperature(model: LanguageModel, held_out: Symbols) -> float:
    """Divides the model's logits permanently by the temperature with the lowest held-out loss.

    Args:
        model: in evaluation mode.
        held_out: the held-out symbols (N,). At most `MOST_SYMBOLS` are scored, in lanes (see
            `held_out_lanes`), which takes a tenth of the time of a single lane.

    Returns:
        The temperature: above 1 if the model was overconfident; 1 if there are fewer than `FEWEST_SYMBOLS`.
    """
    if len(held_out) < FEWEST_SYMBOLS:
        return 1.0
    inverse, (x, y) = 1.0, held_out_lanes(held_out, min(len(held_out), MOST_SYMBOLS))
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope_and_curvature(model, x, y, inverse)
        if not curvature > 0:  # every distribution is concentrated on one symbol
            break
        before, inverse = inverse, min(max(inverse - slope / curvature, 1 / _HIGHEST), _HIGHEST)
        if abs(inverse - before) < _TOLERANCE * before:
            break
    model.scale_logits(inverse)
    return 1 / inverse


@torch.no_grad()
def _slope_and_curvature(model: LanguageModel, x: Ids, y: Ids, inverse: float) -> tuple[float, float]:
    """Returns the first and second derivative of the summed loss with respect to the inverse temperature.

    For logits z, they are the sums of E[z] - z_y and of Var[z].
    """
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
