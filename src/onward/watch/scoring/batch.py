"""Scores many whole sequences at once: the longest first, in many lanes, without gradients."""

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.inference.prediction import initial_state, predict
from onward.layers.state import map_state
from onward.model import LanguageModel, losses
from onward.units import nats_to_bits
from onward.watch.scoring.features import ModelScores
from onward.watch.scoring.surprise import TOP

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
    totals, tops, ranks = (np.zeros(count) for _ in range(3))
    order = np.argsort(-sequences.lengths, kind="stable")
    first = 0
    while first < count:
        steps = min(_MAX_STEPS, int(sequences.lengths[order[first]]) + 1)
        lanes = max(1, min(_MAX_POSITIONS, _MAX_LOGITS // model.config.symbols) // steps)
        batch = order[first : first + lanes]
        for target, values in zip(
            (totals, tops, ranks), _score_batch(model, sequences, batch, steps, excluded), strict=True
        ):
            target[batch] = values
        first += lanes
    return ModelScores(sequences.lengths, totals, tops, ranks.astype(np.int64))


def _score_batch(
    model: LanguageModel, sequences: Sequences, batch: np.ndarray, steps: int, excluded: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the total bits, top bits and highest rank of each sequence of a batch, each (B,).

    The longest sequence comes first. Lanes whose sequences have ended are left out.
    """
    state = initial_state(model, len(batch))
    totals, ranks = (torch.zeros(len(batch), dtype=torch.float64) for _ in range(2))
    tops = torch.zeros((TOP, len(batch)), dtype=torch.float64)
    lengths = sequences.lengths[batch] + 1
    for start in range(0, int(lengths[0]), steps):
        lanes = int((lengths > start).sum())
        state = map_state(lambda part, lanes=lanes: part[:lanes], state)
        x, y = (torch.from_numpy(p) for p in sequences.padded(batch[:lanes], start, start + steps))
        logits, state = predict(model, x, state)
        logits[..., excluded] = -torch.inf
        bits = losses(logits, y).double() * nats_to_bits(1.0)
        totals[:lanes] += bits.sum(0)
        tops[:, :lanes] = torch.cat([tops[:, :lanes], bits]).topk(TOP, dim=0).values
        targets = logits.gather(2, y.clamp_min(0)[..., None])
        found = ((logits > targets).sum(2) * (y >= 0)).amax(0).double()
        ranks[:lanes] = torch.maximum(ranks[:lanes], found)
    return totals.numpy(), tops.mean(0).numpy(), ranks.numpy()
