"""One block through a model: what it expected, what came, and the state after."""

import torch

from onward.layers.state import State
from onward.model import LanguageModel, losses
from onward.shapes import Ids, Logits, Losses


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


def device_of(model: LanguageModel) -> torch.device:
    """Where the weights are."""
    return next(model.parameters()).device
