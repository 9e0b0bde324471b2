"""Scores of many sequences at once: sorted by length, in many lanes, without gradients."""

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.inference.prediction import initial_state, predict
from onward.model import LanguageModel, losses
from onward.units import nats_to_bits
from onward.watch.scoring.features import BURST, Tally

_POSITIONS, _LONGEST, _LARGEST_LOGITS = 1 << 15, 1 << 9, 1 << 22
"""Of one computation: positions of all lanes, positions of one, and logits."""


@torch.inference_mode()
def tally(model: LanguageModel, sequences: Sequences, never: list[int]) -> Tally:
    """What the model makes of each sequence, each from the initial state to its END.

    Args:
        model: that knows what to expect.
        sequences: to be read.
        never: ids that cannot be predicted.
    """
    count = len(sequences)
    totals, largest, bursts, ranks = (np.zeros(count) for _ in range(4))
    order = np.argsort(sequences.lengths, kind="stable")
    lengths = sequences.lengths[order]
    symbols, first = model.config.symbols, 0
    while first < count:
        steps = min(_LONGEST, int(lengths[first]) + 1)
        lanes = max(1, min(_POSITIONS, _LARGEST_LOGITS // symbols) // steps)
        batch = order[first : first + lanes]
        for target, values in zip(
            (totals, largest, bursts, ranks), _batch(model, sequences, batch, steps, never), strict=True
        ):
            target[batch] = values
        first += lanes
    return Tally(sequences.lengths, totals, largest, bursts, ranks.astype(np.int64))


def _batch(
    model: LanguageModel, sequences: Sequences, batch: np.ndarray, steps: int, never: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Total, largest, burst and highest rank of each sequence of a batch, (B,)."""
    state = initial_state(model, len(batch))
    totals, largest, running, bursts, ranks = (torch.zeros(len(batch), dtype=torch.float64) for _ in range(5))
    for start in range(0, int(sequences.lengths[batch].max()) + 1, steps):
        x, y = (torch.from_numpy(part) for part in sequences.padded(batch, start, start + steps))
        logits, state = predict(model, x, state)
        logits[..., never] = -torch.inf
        inside = y >= 0
        bits = losses(logits, y).double() * nats_to_bits(1.0)
        totals += bits.sum(0)
        largest = torch.maximum(largest, bits.amax(0))
        asked = logits.gather(2, y.clamp_min(0)[..., None])
        ranks = torch.maximum(ranks, ((logits > asked).sum(2) * inside).amax(0).double())
        for row, here in zip(bits, inside, strict=True):
            running = torch.where(here, running + BURST * (row - running), running)
            bursts = torch.maximum(bursts, running)
    return totals.numpy(), largest.numpy(), bursts.numpy(), ranks.numpy()
