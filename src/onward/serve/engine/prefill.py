"""Reading a prompt or a text to be scored, in slices."""

from collections.abc import Iterator

import numpy as np
import torch

from onward.data.vocabulary import BEGIN
from onward.inference.prediction import initial_state, predict
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.engine import PromptState, SlicedWork
from onward.serve.engine.tokens import Token, log_probabilities, token_of
from onward.serve.engine.typed_text import SLICE


def prefill(
    trained: TrainedModel, ids: np.ndarray, top: int | None = None
) -> SlicedWork[tuple[PromptState, list[Token]]]:
    """Reads a text from its start.

    Args:
        trained: the model.
        ids: the text, (N,). BEGIN may be its first symbol, and then has probability 1.
        top: number of alternatives for each token; None: return no tokens.

    Returns:
        The state after the text, and its tokens.
    """
    has_begin = int(len(ids) > 0 and ids[0] == BEGIN)
    stream = np.concatenate([[BEGIN], ids[has_begin:]]).astype(np.int64)
    state, logits = initial_state(trained.model, 1), np.empty((1, 1, 1), np.float32)
    tokens = [Token(BEGIN, 0.0, [(BEGIN, 0.0)])] if has_begin and top is not None else []
    for start in range(0, len(stream), SLICE):
        if start:
            yield
        block = stream[start : start + SLICE]
        out, state = predict(trained.model, torch.from_numpy(block)[:, None], state)
        logits = out.cpu().numpy()
        if top is not None:
            tokens += _tokens(logits[:, 0], stream[1 + start : 1 + start + SLICE], top)
    return PromptState(logits[-1].copy(), state), tokens


def _tokens(logits: np.ndarray, symbols: np.ndarray, top: int) -> Iterator[Token]:
    """Returns the tokens of symbols (N,), given the logits (N or more, V) before each."""
    for logs, symbol in zip(log_probabilities(logits), symbols.tolist(), strict=False):
        yield token_of(logs, symbol, top)
