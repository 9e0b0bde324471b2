"""Reading a prompt or a text to be scored, in slices."""

import numpy as np
import torch

from onward.data.vocabulary import BEGIN
from onward.inference.prediction import initial_state, predict
from onward.inference.trained_model import TrainedModel
from onward.memory.memory import Memory
from onward.serve.engine.engine import PromptState, SlicedWork
from onward.serve.engine.tokens import Tokens, log_probabilities, tokens_of
from onward.serve.engine.typed_text import SLICE

_LEAST = 1e-300  # a probability of 0 has no logarithm
_BEGIN = Tokens(np.array([BEGIN]), np.zeros(1), np.array([[BEGIN]]), np.zeros((1, 1)))
"""BEGIN at its place, which is certain."""


def prefill(
    trained: TrainedModel, ids: np.ndarray, top: int | None = None, memory: Memory | None = None
) -> SlicedWork[tuple[PromptState, list[Tokens]]]:
    """Reads a text from its start.

    Args:
        trained: the model.
        ids: the text, (N,). BEGIN may be its first symbol, and then has probability 1. After an empty text
            comes what the texts of the corpus begin with.
        top: number of alternatives for each token; None: return no tokens.
        memory: learns from each symbol after it was scored; its predictions are mixed with the model's.

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
            logs = log_probabilities(logits[: len(symbols), 0])
            if memory:
                logs = _refined(memory, np.exp(logs).astype(np.float32), symbols)
            tokens.append(tokens_of(logs, symbols, top))
    return PromptState(logits[-1].copy(), state), tokens


def _refined(memory: Memory, network: np.ndarray, symbols: list[int]) -> np.ndarray:
    """Returns the mixed log-probabilities (n, V) of the symbols (n), from which the memory learns.

    Args:
        memory: the memory before the symbols.
        network: the network's probabilities, (n, V).
        symbols: the symbols.
    """
    refined = np.empty_like(network, np.float64)
    for i, symbol in enumerate(symbols):
        refined[i] = memory.refine(memory.place()[None], network[i : i + 1])[0]
        memory.read(np.array([symbol]), network[i : i + 1])
    return np.log(np.maximum(refined, _LEAST))
