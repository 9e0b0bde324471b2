"""Reading a text in slices: its state, its surprises, and what else was likely in each place."""

from collections.abc import Iterator

import numpy as np
import torch

from onward.data.vocabulary import BEGIN
from onward.inference.prediction import initial_state, predict
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.engine import Primed, Slices
from onward.serve.engine.tokens import Token, log_probabilities, token_of
from onward.serve.engine.typed_text import SLICE


def read(
    trained: TrainedModel, ids: np.ndarray, top: int | None = None
) -> Slices[tuple[Primed, list[Token]]]:
    """Reads ids (N,) from the start of a text.

    Args:
        trained: the model.
        ids: what is read; BEGIN, before which nothing stands, may be the first, and is certain then.
        top: likeliest symbols to tell of in each place; None: nothing is told.

    Returns:
        Where it leads, and each symbol with the probability it had before it was read.
    """
    begun = int(len(ids) > 0 and ids[0] == BEGIN)
    stream = np.concatenate([[BEGIN], ids[begun:]]).astype(np.int64)
    state, logits = initial_state(trained.model, 1), np.empty((1, 1, 1), np.float32)
    tokens = [Token(BEGIN, 0.0, [(BEGIN, 0.0)])] if begun and top is not None else []
    for start in range(0, len(stream), SLICE):
        if start:
            yield
        block = stream[start : start + SLICE]
        out, state = predict(trained.model, torch.from_numpy(block)[:, None], state)
        logits = out.cpu().numpy()
        if top is not None:
            tokens += _tokens(logits[:, 0], stream[1 + start : 1 + start + SLICE], top)
    return Primed(logits[-1].copy(), state), tokens


def _tokens(logits: np.ndarray, came: np.ndarray, top: int) -> Iterator[Token]:
    """Each symbol that came (N,), under the logits (N or more, V) of its place."""
    for logs, symbol in zip(log_probabilities(logits), came.tolist(), strict=False):
        yield token_of(logs, symbol, top)
