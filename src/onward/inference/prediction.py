"""One block through a model: what it expected, what came, and the state after."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

from onward.layers.state import State
from onward.model import LanguageModel, losses
from onward.shapes import Ids, Logits, Losses

Precision = Literal["fp32", "bf16"]
"""Of matrix products; weights, states and sums are float32 in either."""


@torch.inference_mode()
def predict(model: LanguageModel, ids: Ids, state: State) -> tuple[Logits, State]:
    """Logits after each position (T, B, V) and the state after the last, for ids (T, B) on any device."""
    return model(ids.to(device_of(model)), state)


@torch.inference_mode()
def surprise(model: LanguageModel, x: Ids, y: Ids, state: State) -> tuple[Losses, State]:
    """Nats of y (T, B) given x (T, B), the symbols before each, and the state after the last."""
    logits, state = predict(model, x, state)
    return losses(logits, y.to(logits.device)), state


@torch.inference_mode()
def initial_state(model: LanguageModel, lanes: int) -> State:
    """The state before the first symbol."""
    return model.initial_state(lanes)


def quick_precision(model: LanguageModel) -> Precision:
    """`bf16` where the model's device multiplies it natively, else `fp32`."""
    has_one_dnn = torch.backends.mkldnn.is_available()  # without it the question has no answer
    on_gpu = device_of(model).type == "cuda"
    return "bf16" if on_gpu or (has_one_dnn and torch.ops.mkldnn._is_mkldnn_bf16_supported()) else "fp32"


def in_precision(model: LanguageModel, precision: Precision) -> AbstractContextManager:
    """Within it the model's matrix products are in that precision."""
    return torch.autocast(device_of(model).type, torch.bfloat16, enabled=precision == "bf16")


def device_of(model: LanguageModel) -> torch.device:
    """Where the weights are."""
    return next(model.parameters()).device
