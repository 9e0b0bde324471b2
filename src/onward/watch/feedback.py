"""Feedback: a detector learns one more normal sequence and does not forget the others.

The file of a detector does not contain its training sequences. Therefore the model is trained on the new
sequence together with sequences that it samples itself, which stand for the training sequences (rehearsal:
Robins 1995; Shin et al. 2017). The sequence joins the calibration with the score that it had before it was
learned: it is one more normal sequence that the model had not seen.

An event that the detector did not know gets one of the spare ids of the lookup tables and the n-gram model;
the model learns where the unknown event occurs.

If a sequence has not ended, only its prefix is learned. Its verdict is the upper bound of its p-value (see
`Detector.bounds`), and it does not join the calibration. A sequence is learned once: the file has a list of
learned sequences, so that a repeated request changes nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from onward.artefact import digest_of, weights_of
from onward.data.lanes import PADDING
from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END
from onward.errors import InputError
from onward.inference.prediction import initial_state, predict
from onward.model import LanguageModel, losses
from onward.threads import explain_fork_errors
from onward.units import nats_to_bits
from onward.watch.detector import MOST_AT_ONCE, Detector
from onward.watch.scoring.features import Verdict

_REPLAYED, _LONGEST_REPLAY = 64, 512
"""Number of sequences that the model samples, and the maximum length of each."""

_STEPS, _LEARNING_RATE = 60, 1e-3
_NEW_WEIGHT = 1 / 8
"""Weight of the new sequence in the loss."""

_KEPT_PARENTS, _KEPT_LEARNED = 20, 1000
"""Numbers of digests that the file keeps: of earlier weights, and of learned sequences."""


@dataclass(frozen=True)
class Feedback:
    """A detector that has learned a sequence, and the effect.

    Attributes:
        detector: the new detector.
        before: the verdict on the sequence by the old detector.
        after: the verdict by the new detector.
        replay_bits: mean surprise of the events of the sampled sequences, before and after.
        steps: number of training steps; training stops when the sequence is no longer flagged.
        repeated: whether the sequence had been learned before; then nothing has changed.
    """

    detector: Detector
    before: Verdict
    after: Verdict
    replay_bits: tuple[float, float]
    steps: int
    repeated: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.before.key,
            "events": self.before.length,
            "p_value": {"before": self.before.p_value, "after": self.after.p_value},
            "flagged": {"before": self.before.flagged, "after": self.after.flagged},
            "bits_per_event": {
                "before": self.before.bits_per_event,
                "after": self.after.bits_per_event,
            },
            "replay_bits_per_event": {"before": self.replay_bits[0], "after": self.replay_bits[1]},
            "steps": self.steps,
            "repeated": self.repeated,
        }


def mark_normal(
    detector: Detector,
    events: Sequence[str],
    key: str = "",
    *,
    began: int = 0,
    ended: bool = True,
    seed: int = 0,
) -> Feedback:
    """Returns a detector that has learned that a sequence is normal.

    The given detector does not change.

    Args:
        detector: the detector.
        events: the events of the sequence, by name.
        key: the key of the sequence.
        began: the number of its first record or line; with the key, it identifies the sequence.
        ended: whether the sequence ends with the last of the events.
        seed: seed of the sampled sequences.

    Raises:
        InputError: there are no events.
    """
    if not len(events):
        raise InputError("expected events to learn from, got none", hint="name a sequence that has records")
    digest = _digest(key, began, ended, events)
    before = _verdict(detector, events, key, ended)
    replay, excluded = _sample(detector, seed), detector.vocabulary.excluded
    bits_before = _bits_per_event(detector.model, replay, excluded)
    if digest in detector.artefact.facts.get("forgiven", ()):
        return Feedback(detector, before, before, (bits_before, bits_before), 0, repeated=True)
    model = LanguageModel(detector.model.config)
    model.load_state_dict(detector.model.state_dict())
    extended = _extend(detector, events, before.score if ended else None, digest)
    ids = extended.vocabulary.encode([events])
    sequence = Sequences(extended.vocabulary.model_ids(ids.ids), ids.starts)
    steps, after = 0, before
    for _ in _train(model, sequence, replay, excluded, ended):
        steps += 1
        extended = replace(extended, artefact=replace(extended.artefact, model=model.eval()))
        after = _verdict(extended, events, key, ended)
        if not after.flagged:
            break
    return Feedback(extended, before, after, (bits_before, _bits_per_event(model, replay, excluded)), steps)


def _digest(key: str, began: int, ended: bool, events: Sequence[str]) -> str:
    """Returns the digest by which the file recognises a learned sequence."""
    content = "\0".join([key, str(began), str(ended), *events]).encode("utf-8", "replace")
    return hashlib.sha256(content).hexdigest()[:16]


def _verdict(detector: Detector, events: Sequence[str], key: str, ended: bool) -> Verdict:
    """Returns the verdict on a sequence. An open sequence is judged by the upper bound of its p-value."""
    (verdict,) = detector.judge([events], [key])
    if ended:
        return verdict
    sequence = detector.open()
    for start in range(0, len(events), MOST_AT_ONCE):
        detector.observe([sequence], [events[start : start + MOST_AT_ONCE]])
    peaks = sequence.peaks
    bounds = detector.bounds([peaks])
    features = verdict.features | {
        "top": peaks.top,
        "ngram_top": peaks.ngram_top,
        "new": float(peaks.new),
    }
    return replace(
        verdict,
        p_value=float(bounds.p_values[0]),
        flagged=bool(detector.is_flagged(bounds.p_values)[0]),
        main_feature=bounds.main_features[0],
        features=features,
        bits_per_event=sequence.surprise.total / sequence.length,
    )


def _extend(detector: Detector, events: Sequence[str], score: float | None, digest: str) -> Detector:
    """Returns the detector with a sequence in its lookup tables and its calibration; the model stays.

    Args:
        detector: the detector.
        events: the events of the sequence, by name.
        score: its score; None if the sequence has not ended. Then its counts and its score are left out.
        digest: see `_digest`.
    """
    facts, calibration = dict(detector.artefact.facts), detector.calibration
    parents = [*facts.get("parents", []), digest_of(weights_of(detector.model))]
    facts["parents"] = parents[-_KEPT_PARENTS:]
    facts["forgiven"] = [*facts.get("forgiven", []), digest][-_KEPT_LEARNED:]  # the key is part of the format
    if score is not None:
        calibration = replace(calibration, scores=np.sort(np.append(calibration.scores, score)))
    return replace(
        detector.learn([events], ended=score is not None),
        artefact=replace(detector.artefact, facts=facts),
        calibration=calibration,
    )


def _train(
    model: LanguageModel, sequence: Sequences, replay: Sequences, excluded: list[int], ended: bool
) -> Iterator[None]:
    """Trains step by step on the sequence and on the sampled sequences."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.0)
    both = Sequences.of([*sequence, *replay])
    for _ in range(_STEPS):
        model.train()
        optimiser.zero_grad()
        with explain_fork_errors():
            _loss(model, both, excluded, ended).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        yield


def _loss(model: LanguageModel, sequences: Sequences, excluded: list[int], ended: bool) -> torch.Tensor:
    """Returns the weighted mean over sequences of their mean loss per event.

    The first sequence is the new one. If it has not ended, its END is not a target.
    """
    indices = np.arange(len(sequences))
    targets = sequences.lengths + 1
    x, y = sequences.padded(indices, 0, int(targets.max()))
    if not ended:
        targets[0] -= 1
        y[targets[0], 0] = PADDING
    logits, _ = model(torch.from_numpy(x), model.initial_state(len(indices)))
    mask = torch.zeros(logits.shape[-1])
    mask[excluded] = -1e9
    nats = losses(logits + mask, torch.from_numpy(y)).sum(0) / torch.from_numpy(targets)
    return nats[0] * _NEW_WEIGHT + nats[1:].mean() * (1 - _NEW_WEIGHT)


@torch.inference_mode()
def _bits_per_event(model: LanguageModel, sequences: Sequences, excluded: list[int]) -> float:
    """Returns the mean surprise of the events of sequences, END included."""
    model.eval()
    indices = np.arange(len(sequences))
    x, y = sequences.padded(indices, 0, int(sequences.lengths.max()) + 1)
    logits, _ = predict(model, torch.from_numpy(x), initial_state(model, len(indices)))
    logits[..., excluded] = -torch.inf
    total = float(losses(logits, torch.from_numpy(y)).double().sum())
    return nats_to_bits(total / float((sequences.lengths + 1).sum()))


@torch.inference_mode()
def _sample(detector: Detector, seed: int) -> Sequences:
    """Samples sequences from the model."""
    generator = torch.Generator().manual_seed(seed)
    model, state = detector.model, initial_state(detector.model, _REPLAYED)
    x = torch.full((1, _REPLAYED), BEGIN)
    rows: list[torch.Tensor] = []
    ended = torch.zeros(_REPLAYED, dtype=torch.bool)
    while not ended.all() and len(rows) < _LONGEST_REPLAY:
        logits, state = predict(model, x, state)
        logits = logits[0].float().cpu()
        logits[:, detector.vocabulary.excluded] = -torch.inf
        x = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator).T
        rows.append(x[0].clone())
        ended |= x[0] == END
    sampled = torch.stack(rows).T.numpy()
    ends = [np.flatnonzero(row == END) for row in sampled]
    return Sequences.of(row[: end[0]] if len(end) else row for row, end in zip(sampled, ends, strict=True))
