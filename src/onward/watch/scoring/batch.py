"""Scores many whole sequences at once: sorted by length, in many lanes, without gradients."""

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.inference.prediction import initial_state, predict
from onward.model import LanguageModel, losses
from onward.units import nats_to_bits
from onward.watch.scoring.features import BURST_WEIGHT, ModelScores

_MAX_POSITIONS = 1 << 15
"""Positions of one batch, summed over its lanes."""

_MAX_STEPS = 1 << 9
"""Positions of one lane in one batch; longer sequences take several passes with the state carried over."""

_MAX_LOGITS = 1 << 22


@torch.inference_mode()
def score_sequences(model: LanguageModel, sequences: Sequences, excluded: list[int]) -> ModelScores:
    """Scores each sequence from the initial state to its END.

    Args:
        model: predicts the events.
        sequences: the sequences to score.
        excluded: ids that get probability 0.
    """
    count = len(sequences)
    totals, largest, bursts, ranks = (np.zeros(count) for _ in range(4))
    order = np.argsort(sequences.lengths, kind="stable")
    lengths = sequences.lengths[order]
    symbols, first = model.config.symbols, 0
    while first < count:
        steps = min(_MAX_STEPS, int(lengths[first]) + 1)
        lanes = max(1, min(_MAX_POSITIONS, _MAX_LOGITS // symbols) // steps)
        batch = order[first : first + lanes]
        scores = _score_batch(model, sequences, batch, steps, excluded)
        for target, values in zip((totals, largest, bursts, ranks), scores, strict=True):
            target[batch] = values
        first += lanes
    return ModelScores(sequences.lengths, totals, largest, bursts, ranks.astype(np.int64))


def _score_batch(
    model: LanguageModel, sequences: Sequences, batch: np.ndarray, steps: int, excluded: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the total bits, largest bits, burst and highest rank of each sequence of a batch, each (B,)."""
    state = initial_state(model, len(batch))
    totals, largest, running, bursts, ranks = (torch.zeros(len(batch), dtype=torch.float64) for _ in range(5))
    for start in range(0, int(sequences.lengths[batch].max()) + 1, steps):
        x, y = (torch.from_numpy(part) for part in sequences.padded(batch, start, start + steps))
        logits, state = predict(model, x, state)
        logits[..., excluded] = -torch.inf
        inside = y >= 0
        bits = losses(logits, y).double() * nats_to_bits(1.0)
        totals += bits.sum(0)
        largest = torch.maximum(largest, bits.amax(0))
        targets = logits.gather(2, y.clamp_min(0)[..., None])
        ranks = torch.maximum(ranks, ((logits > targets).sum(2) * inside).amax(0).double())
        for row, is_event in zip(bits, inside, strict=True):
            running = torch.where(is_event, running + BURST_WEIGHT * (row - running), running)
            bursts = torch.maximum(bursts, running)
    return totals.numpy(), largest.numpy(), bursts.numpy(), ranks.numpy()
