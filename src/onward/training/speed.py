"""The speed of training on this machine."""

import math
import time
from typing import NamedTuple

import torch

from onward.data.lanes import Block
from onward.model import LanguageModel
from onward.training.block_loss import block_loss
from onward.training.random_state import forked_random

PRECISIONS = ("fp32", "bf16")
OPTIMISER_COST = 0.25
"""Duration of the optimiser's update, as a share of the forward and backward pass of the default block."""

_TIMES = 3
"""Number of passes in each precision, of which the fastest counts."""


class Speed(NamedTuple):
    """The speed of a model.

    Attributes:
        precision: the fastest precision.
        seconds: duration of a block's forward and backward pass in that precision.
    """

    precision: str
    seconds: float


def measure_speed(model: LanguageModel, block: Block, precision: str) -> Speed:
    """Times forward and backward passes. Weights, gradients and random generators are not changed.

    Args:
        model: the model, without gradients.
        block: the block.
        precision: the precision to time; "auto" times all.
    """
    names = PRECISIONS if precision == "auto" else (precision,)
    seconds = dict.fromkeys(names, math.inf)
    with forked_random(model.device):
        for _ in range(_TIMES):
            for name in names:
                seconds[name] = min(seconds[name], _seconds_of_pass(model, block, name))
    fastest = min(names, key=lambda name: seconds[name])
    return Speed(fastest, seconds[fastest])


def _seconds_of_pass(model: LanguageModel, block: Block, precision: str) -> float:
    started = time.perf_counter()
    loss, _ = block_loss(model, block, model.initial_state(block.x.shape[1]), precision)
    loss.backward()
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    seconds = time.perf_counter() - started
    model.zero_grad()
    return seconds
