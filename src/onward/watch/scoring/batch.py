"""Scores many whole sequences at once: the longest first, in many lanes, without gradients."""

from typing import NamedTuple

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.inference.prediction import initial_state, predict
from onward.layers.state import map_state
from onward.model import LanguageModel, losses
from onward.units import nats_to_bits
from onward.watch.scoring.event_vocabulary import EventVocabulary

_MAX_POSITIONS = 1 << 15
"""Positions of one batch, summed over its lanes."""

_MAX_STEPS = 1 << 9
"""Positions of one lane in one batch; longer sequences take several passes with the state carried over."""

_MAX_LOGITS = 1 << 22


class ModelScores(NamedTuple):
    """The scores of n sequences by the model.

    Attributes:
        bits: the bits of the events of all sequences, each with its END, in their order, (N + n,).
        ranks: the highest rank of an event of each sequence, (n,).
    """

    bits: np.ndarray
    ranks: np.ndarray


@torch.inference_mode()
def score_sequences(model: LanguageModel, sequences: Sequences, vocabulary: EventVocabulary) -> ModelScores:
    """Scores each sequence from the initial state to its END.

    Args:
        model: predicts the events.
        sequences: the sequences to score.
        vocabulary: the events that their ids stand for.
    """
    count = len(sequences)
    sequences = Sequences(vocabulary.model_ids(sequences.ids), sequences.starts)
    scores = ModelScores(np.zeros(len(sequences.ids) + count), np.zeros(count, np.int64))
    order = np.argsort(-sequences.lengths, kind="stable")
    first = 0
    while first < count:
        steps = min(_MAX_STEPS, int(sequences.lengths[order[first]]) + 1)
        lanes = max(1, min(_MAX_POSITIONS, _MAX_LOGITS // model.config.symbols) // steps)
        _score_batch(model, sequences, order[first : first + lanes], steps, vocabulary.excluded, scores)
        first += lanes
    return scores


def _score_batch(
    model: LanguageModel,
    sequences: Sequences,
    batch: np.ndarray,
    steps: int,
    excluded: list[int],
    scores: ModelScores,
) -> None:
    """Scores the sequences of a batch, the longest first. Lanes whose sequences have ended are left out."""
    state = initial_state(model, len(batch))
    lengths, firsts = sequences.lengths[batch] + 1, sequences.starts[batch] + batch
    for start in range(0, int(lengths[0]), steps):
        lanes = int((lengths > start).sum())
        state = map_state(lambda part, lanes=lanes: part[:lanes], state)
        x, y = (torch.from_numpy(part) for part in sequences.padded(batch[:lanes], start, start + steps))
        logits, state = predict(model, x, state)
        logits[..., excluded] = -torch.inf
        inside, places = (y >= 0).numpy(), firsts[:lanes] + np.arange(start, start + len(y))[:, None]
        scores.bits[places[inside]] = (losses(logits, y).double() * nats_to_bits(1.0)).numpy()[inside]
        targets = logits.gather(2, y.clamp_min(0)[..., None])
        ranks = ((logits > targets).sum(2) * (y >= 0)).amax(0).numpy()
        scores.ranks[batch[:lanes]] = np.maximum(scores.ranks[batch[:lanes]], ranks)
