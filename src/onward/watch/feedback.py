"""That was normal: a detector learns one more sequence, and forgets no other.

The model is trained on the sequence among others that it makes up itself, sampled event by event from what it
expects: they stand for the training sequences, which the file does not hold (Robins 1995; Shin et al. 2017).
The sequence joins the calibration with the score that it had before it was learned: it is one more normal
sequence that the model had not seen, and all p-values are ranks among one more.

Of a sequence that has not ended what came so far is learned, and not that it ends there: it is judged by what
its end cannot take back (see `Detector.bounds`), and joins no calibration. A sequence is learned once: the
detector keeps whose it was, so that a request which is made twice does what it did at first.
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
from onward.data.vocabulary import BEGIN, END, UNKNOWN
from onward.errors import InputError
from onward.inference.prediction import initial_state, predict
from onward.model import LanguageModel, losses
from onward.units import nats_to_bits
from onward.watch.detector import Detector
from onward.watch.scoring.features import Verdict
from onward.watch.scoring.profile import Profile, counts_of, pairs_of

_MADE_UP, _LONGEST = 64, 512
"""Sequences that stand for the training sequences, and the symbols of one at most."""

_STEPS, _LEARNING_RATE = 60, 1e-3
_PARENTS, _REMEMBERED = 20, 1000


@dataclass(frozen=True)
class Feedback:
    """A detector that has learned a sequence, and what that has done.

    Attributes:
        detector: the new one.
        before: what the sequence came to, and
        after: comes to now.
        replay_bits: the mean surprise of the events of the sequences that it made up, before and after.
        steps: of training; it stops when the sequence is flagged no longer.
        repeated: whether it had been learned before; then nothing has changed.
    """

    detector: Detector
    before: Verdict
    after: Verdict
    replay_bits: tuple[float, float]
    steps: int
    repeated: bool = False

    def to_json(self) -> dict[str, Any]:
        """The effect as plain values."""
        return {
            "key": self.before.key,
            "events": self.before.length,
            "p_value": {"before": self.before.p_value, "after": self.after.p_value},
            "flagged": {"before": self.before.flagged, "after": self.after.flagged},
            "bits_per_event": {
                "before": self.before.features["mean"],
                "after": self.after.features["mean"],
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
    """The detector after it was told that a sequence is normal.

    Args:
        detector: that is told; it is left as it is.
        events: of the sequence, by name.
        key: of the sequence, and
        began: the number of its first record, or of its first line: they say which one it is.
        ended: whether it ends with the last of the events.
        seed: of the sequences that are made up.

    Raises:
        InputError: no events, or some that it has no symbol for: it must be learned again to know them.
    """
    sequences = _known(detector, events)
    said = "\0".join([key, str(began), str(ended), *events]).encode("utf-8", "replace")
    name = hashlib.sha256(said).hexdigest()[:16]
    before = _judged(detector, events, key, ended)
    replay, never = _made_up(detector, seed), detector.alphabet.never
    bits = _bits(detector.model, replay, never)
    if name in detector.artefact.facts.get("forgiven", ()):
        return Feedback(detector, before, before, (bits, bits), 0, repeated=True)
    model = LanguageModel(detector.model.config)
    model.load_state_dict(detector.model.state_dict())
    known = _told(detector, sequences, before.score if ended else None, name)
    steps, after = 0, before
    for _ in _trained(model, sequences, replay, never, ended):
        steps += 1
        known = replace(known, artefact=replace(known.artefact, model=model.eval()))
        after = _judged(known, events, key, ended)
        if not after.flagged:
            break
    return Feedback(known, before, after, (bits, _bits(model, replay, never)), steps)


def _known(detector: Detector, events: Sequence[str]) -> Sequences:
    """The sequence in symbols. Raises as `mark_normal`."""
    unknown = dict[str, int]()
    for place, event in enumerate(events, 1):
        if detector.alphabet.id(event) == UNKNOWN:
            unknown.setdefault(event, place)
    if not len(events) or unknown:
        shown = ", ".join(
            f"{event!r} as event {place} of {len(events)}" for event, place in [*unknown.items()][:3]
        )
        raise InputError(
            f"expected events that the detector knows, got {shown or 'none'}",
            hint="learn again, with this sequence among the normal ones: new events need new weights",
        )
    return detector.alphabet.encode([events])


def _judged(detector: Detector, events: Sequence[str], key: str, ended: bool) -> Verdict:
    """What a sequence comes to; where it has not ended, what it cannot fall below any more."""
    (verdict,) = detector.judge([events], [key])
    if ended:
        return verdict
    sequence = detector.open()
    for event in events:
        detector.observe([sequence], [event])
    (p_value,), (speaks,) = detector.bounds([sequence])
    features = verdict.features | {
        "mean": sequence.total / sequence.length,
        "largest": sequence.largest,
        "burst": sequence.burst,
        "new": sequence.new,
    }
    flagged = bool(p_value <= detector.rate + 1e-12)
    return replace(verdict, p_value=float(p_value), flagged=flagged, speaks=speaks, features=features)


def _told(detector: Detector, sequences: Sequences, score: float | None, name: str) -> Detector:
    """The detector with what occurs in a further sequence, and with its name; its model is to learn it yet.

    How often each event occurs, and what score a normal sequence has, is known of one that has ended alone:
    where there is no score it has not.
    """
    facts, profile, calibration = dict(detector.artefact.facts), detector.profile, detector.calibration
    parents = [*facts.get("parents", []), digest_of(weights_of(detector.model))]
    facts["parents"] = parents[-_PARENTS:]
    facts["forgiven"] = [*facts.get("forgiven", []), name][-_REMEMBERED:]
    occurred, counts = pairs_of(sequences, profile.symbols), profile.counts
    if score is None:
        occurred = occurred[:-1]
    else:
        counts = np.unique(np.concatenate([counts, counts_of(sequences, profile.symbols)]), axis=0)
        calibration = replace(calibration, scores=np.sort(np.append(calibration.scores, score)))
    return replace(
        detector,
        artefact=replace(detector.artefact, facts=facts),
        profile=Profile(profile.symbols, np.union1d(profile.pairs, occurred), counts),
        calibration=calibration,
    )


def _trained(
    model: LanguageModel, sequences: Sequences, replay: Sequences, never: list[int], ended: bool
) -> Iterator[None]:
    """Trains step by step on the sequence and on those that stand for the others."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.0)
    both = Sequences.of([*sequences, *replay])
    for _ in range(_STEPS):
        model.train()
        optimiser.zero_grad()
        _mean_nats(model, both, never, ended).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        yield


def _mean_nats(model: LanguageModel, sequences: Sequences, never: list[int], ended: bool) -> torch.Tensor:
    """The mean over sequences of the mean over their events; the first counts as an eighth of all.

    Where that has not ended, its END is no target.
    """
    indices = np.arange(len(sequences))
    targets = sequences.lengths + 1
    x, y = sequences.padded(indices, 0, int(targets.max()))
    if not ended:
        targets[0] -= 1
        y[targets[0], 0] = PADDING
    logits, _ = model(torch.from_numpy(x), model.initial_state(len(indices)))
    mask = torch.zeros(logits.shape[-1])
    mask[never] = -1e9
    nats = losses(logits + mask, torch.from_numpy(y)).sum(0) / torch.from_numpy(targets)
    return nats[0] / 8 + nats[1:].mean() * 7 / 8


@torch.inference_mode()
def _bits(model: LanguageModel, sequences: Sequences, never: list[int]) -> float:
    """The mean surprise of the events of sequences."""
    model.eval()
    indices = np.arange(len(sequences))
    x, y = sequences.padded(indices, 0, int(sequences.lengths.max()) + 1)
    logits, _ = predict(model, torch.from_numpy(x), initial_state(model, len(indices)))
    logits[..., never] = -torch.inf
    total = float(losses(logits, torch.from_numpy(y)).double().sum())
    return nats_to_bits(total / float((sequences.lengths + 1).sum()))


@torch.inference_mode()
def _made_up(detector: Detector, seed: int) -> Sequences:
    """Sequences that the model samples from what it expects."""
    chance = torch.Generator().manual_seed(seed)
    model, state = detector.model, initial_state(detector.model, _MADE_UP)
    x = torch.full((1, _MADE_UP), BEGIN)
    rows: list[torch.Tensor] = []
    ended = torch.zeros(_MADE_UP, dtype=torch.bool)
    while not ended.all() and len(rows) < _LONGEST:
        logits, state = predict(model, x, state)
        logits = logits[0].float().cpu()
        logits[:, detector.alphabet.never] = -torch.inf
        x = torch.multinomial(torch.softmax(logits, 1), 1, generator=chance).T
        rows.append(x[0].clone())
        ended |= x[0] == END
    sampled = torch.stack(rows).T.numpy()
    ends = [np.flatnonzero(row == END) for row in sampled]
    return Sequences.of(row[: end[0]] if len(end) else row for row, end in zip(sampled, ends, strict=True))
