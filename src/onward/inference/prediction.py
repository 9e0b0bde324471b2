"""Runs a model on one block of symbols."""

import torch

from onward.layers.state import State
from onward.model import LanguageModel, losses
from onward.shapes import Ids, Logits, Losses


@torch.inference_mode()
def predict(model: LanguageModel, ids: Ids, state: State) -> tuple[Logits, State]:
    """Returns the logits after each position, (T, B, V), and the state after the last position.

    Args:
        model: the model.
        ids: symbols, (T, B), on any device.
        state: the state before the first position.
    """
    return model(ids.to(model.device), state)


@torch.inference_mode()
def surprise(model: LanguageModel, x: Ids, y: Ids, state: State) -> tuple[Losses, State]:
    """Returns the surprise of y (T, B) in nats, and the state after the last symbol of x.

    Args:
        model: the model.
        x: the symbol before each symbol of y, (T, B).
        y: the symbols to score, (T, B).
        state: the state before the first symbol of x.
    """
    logits, state = predict(model, x, state)
    return losses(logits, y.to(logits.device)), state


@torch.inference_mode()
def initial_state(model: LanguageModel, lanes: int) -> State:
    """Returns the empty state for B lanes."""
    return model.initial_state(lanes)
