"""Feedback: a detector learns one more normal sequence and does not forget the others.

The sequence joins the lookup tables and the n-gram model, where it counts as often as it needs until it is no
longer flagged. The network stays, and no score of another sequence rises (see `Detector.learn`), so the
calibration still holds. The sequence joins the calibration with the score that it had before it was learned:
it is one more normal sequence that the detector had not seen.

If a sequence has not ended, only its prefix is learned. Its verdict is the upper bound of its p-value (see
`Detector.bounds`), and it does not join the calibration. A sequence is learned once: the file has a list of
learned sequences, so that a repeated request changes nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onward.errors import InputError
from onward.watch.detector import MOST_AT_ONCE, Detector
from onward.watch.scoring.features import Verdict

_TIMES = (1, 16, 256, 4096)
"""How often the sequence may count in the n-gram model; the fewest times that suffice."""

_KEPT_LEARNED = 1000
"""Number of digests of learned sequences that the file keeps."""


@dataclass(frozen=True)
class Feedback:
    """A detector that has learned a sequence, and the effect.

    Attributes:
        detector: the new detector.
        before: the verdict on the sequence by the old detector.
        after: the verdict by the new detector.
        repeated: whether the sequence had been learned before; then nothing has changed.
    """

    detector: Detector
    before: Verdict
    after: Verdict
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
            "repeated": self.repeated,
        }


def mark_normal(
    detector: Detector,
    events: Sequence[str],
    key: str = "",
    *,
    began: int = 0,
    ended: bool = True,
) -> Feedback:
    """Returns a detector that has learned that a sequence is normal.

    The given detector does not change.

    Args:
        detector: the detector.
        events: the events of the sequence, by name.
        key: the key of the sequence.
        began: the number of its first record or line; with the key, it identifies the sequence.
        ended: whether the sequence ends with the last of the events.

    Raises:
        InputError: there are no events.
    """
    if not len(events):
        raise InputError("expected events to learn from, got none", hint="name a sequence that has records")
    digest = _digest(key, began, ended, events)
    before = _verdict(detector, events, key, ended)
    if digest in detector.artefact.facts.get("forgiven", ()):
        return Feedback(detector, before, before, repeated=True)
    extended, after = detector, before
    for times in _TIMES:
        extended = _extend(detector, events, before.score if ended else None, digest, times)
        after = _verdict(extended, events, key, ended)
        if not after.flagged:
            break
    return Feedback(extended, before, after)


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


def _extend(
    detector: Detector, events: Sequence[str], score: float | None, digest: str, times: int
) -> Detector:
    """Returns the detector with a sequence in its lookup tables and its calibration; the model stays.

    Args:
        detector: the detector.
        events: the events of the sequence, by name.
        score: its score; None if the sequence has not ended. Then its counts and its score are left out.
        digest: see `_digest`.
        times: how often it counts in the n-gram model.
    """
    facts, calibration = dict(detector.artefact.facts), detector.calibration
    facts["forgiven"] = [*facts.get("forgiven", []), digest][-_KEPT_LEARNED:]  # the key is part of the format
    if score is not None:
        calibration = replace(calibration, scores=np.sort(np.append(calibration.scores, score)))
    return replace(
        detector.learn([events], ended=score is not None, times=times),
        artefact=replace(detector.artefact, facts=facts),
        calibration=calibration,
    )
