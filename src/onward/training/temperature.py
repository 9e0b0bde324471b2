"""Temperature scaling: calibrates the probabilities of a model on held-out text.

A model that has been trained on its text for many epochs is overconfident. Dividing its logits by one number
calibrates it, and keeps the order of the symbols (Guo et al. 2017, "On calibration of modern neural
networks"). The number becomes part of the weights, so users of the model need not know it.
"""

import torch

from onward.model import LanguageModel
from onward.training.held_out import HeldOut, scored_blocks

FEWEST_SYMBOLS = 4096
"""Minimum size of the held-out text. Less text gives a noisy temperature."""

_HIGHEST = 4.0
"""The highest temperature, and the inverse of the lowest one. A temperature beyond these limits would only
show that the held-out text is of another kind than the training text."""

_MOST_STEPS, _TOLERANCE = 10, 1e-3
"""Newton's method stops after this many steps, or if the relative change is below the tolerance. The loss is
convex in the inverse of the temperature."""


def calibrate_temperature(model: LanguageModel, held_out: HeldOut) -> float:
    """Divides the model's logits permanently by the temperature with the lowest held-out loss.

    Args:
        model: in evaluation mode.
        held_out: the held-out pieces, of which `HeldOut.some` are scored.

    Returns:
        The temperature: above 1 if the model was overconfident; 1 if there are fewer than `FEWEST_SYMBOLS`.
    """
    if len(held_out) < FEWEST_SYMBOLS:
        return 1.0
    inverse, scored = 1.0, held_out.some()
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope_and_curvature(model, scored, inverse)
        if not curvature > 0:  # every distribution is concentrated on one symbol
            break
        before, inverse = inverse, min(max(inverse - slope / curvature, 1 / _HIGHEST), _HIGHEST)
        if abs(inverse - before) < _TOLERANCE * before:
            break
    model.scale_logits(inverse)
    return 1 / inverse


@torch.no_grad()
def _slope_and_curvature(model: LanguageModel, held_out: HeldOut, inverse: float) -> tuple[float, float]:
    """Returns the first and second derivative of the summed loss with respect to the inverse temperature.

    For logits z, they are the sums of E[z] - z_y and of Var[z].
    """
    sums = torch.zeros(2, dtype=torch.float64)
    for block, y in scored_blocks(model, held_out):
        probabilities = torch.softmax(block * inverse, -1)
        logits = block - (probabilities * block).sum(-1, keepdim=True)
        slopes = -logits.gather(-1, y[..., None])
        variances = probabilities * logits.square()
        sums += torch.stack([slopes.sum(dtype=torch.float64), variances.sum(dtype=torch.float64)]).cpu()
    return float(sums[0]), float(sums[1])
