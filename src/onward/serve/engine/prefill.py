"""Reading a prompt or a text to be scored, in slices."""

import numpy as np
import torch

from onward.data.vocabulary import BEGIN
from onward.inference.completion.options import CompleteOptions
from onward.inference.prediction import initial_state, predict
from onward.inference.scoring.protocol import Learn, learns_memory, learns_weights
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.memory.layout import MEGABYTES
from onward.serve.engine.engine import SlicedWork
from onward.serve.engine.online_learning import LEARNING_SLICE
from onward.serve.engine.prompt_state import MOST_LOOKED_BACK, PromptState
from onward.serve.engine.tokens import Tokens, log_probabilities, tokens_of
from onward.serve.engine.typed_text import SLICE

_LEAST = 1e-300  # a probability of 0 has no logarithm
_BEGIN = Tokens(np.array([BEGIN]), np.zeros(1), np.array([[BEGIN]]), np.zeros((1, 1)))
"""BEGIN at its place, which is certain."""


def prefill(
    trained: TrainedModel, ids: np.ndarray, top: int | None = None
) -> SlicedWork[tuple[PromptState, list[Tokens]]]:
    """Reads a text from its start.

    Args:
        trained: the model.
        ids: the text, (N,). BEGIN may be its first symbol, and then has probability 1. After an empty text
            comes what the texts of the corpus begin with.
        top: number of alternatives for each token; None: return no tokens.

    Returns:
        The state after the text, and the tokens of each slice.
    """
    has_begin = int(len(ids) > 0 and ids[0] == BEGIN)
    top = top if len(ids) else None
    stream = np.concatenate([[BEGIN], ids[has_begin:] if len(ids) else trained.beginning]).astype(np.int64)
    state, logits = initial_state(trained.model, 1), np.empty((1, 1, 1), np.float32)
    tokens = [_BEGIN] if has_begin and top is not None else []
    for start in range(0, len(stream), SLICE):
        if start:
            yield
        block = stream[start : start + SLICE]
        out, state = predict(trained.model, torch.from_numpy(block)[:, None], state)
        logits = out.cpu().numpy()
        symbols = stream[1 + start : 1 + start + SLICE].tolist()
        if top is not None and symbols:
            tokens.append(tokens_of(log_probabilities(logits[: len(symbols), 0]), symbols, top))
    return PromptState(logits[-1].copy(), state, stream[1:][-MOST_LOOKED_BACK:]), tokens


def prefill_learning(
    trained: TrainedModel, ids: np.ndarray, top: int | None, learn: Learn
) -> SlicedWork[tuple[PromptState, list[Tokens]]]:
    """Reads a text like `prefill`, and learns from each symbol or block after it was scored.

    Args:
        trained: the model, which does not change.
        ids: the text, (N,). BEGIN may be its first symbol.
        top: number of alternatives for each token; None: return no tokens.
        learn: what learns.

    Returns:
        The state after the text, and the tokens of each slice.
    """
    session = trained.session(reach=0, memory=MEGABYTES if learns_memory(learn) else 0)
    if learns_weights(learn):
        session.adapt()
    size = LEARNING_SLICE if session.adapter else SLICE
    has_begin = int(len(ids) > 0 and ids[0] == BEGIN)
    tokens = [_BEGIN] if has_begin and top is not None else []
    ids = ids[has_begin:]
    for start in range(0, len(ids), size):
        if start:
            yield
        part = ids[start : start + size]
        if top is None:
            session.feed(part)
            continue
        logs = np.log(np.maximum(session.predictions(part).astype(np.float64), _LEAST))
        tokens.append(tokens_of(logs, part.tolist(), top))
    after = session.search_start(CompleteOptions())
    stepper = Stepper(session.model, after.state) if session.adapter else None
    return PromptState(
        after.logits[None], after.state, ids[-MOST_LOOKED_BACK:], after.memory, stepper
    ), tokens
