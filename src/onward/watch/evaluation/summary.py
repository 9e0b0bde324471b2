"""What there is to say of a detector: what its alarms can be trusted for, and what they cannot."""

import math
from collections.abc import Sequence
from typing import Any

from onward.watch.calibration.statistics import calibration_interval
from onward.watch.detector import Detector
from onward.watch.input.records import UnreadableLines

_FEW = 10
"""Calibration sequences beyond the threshold, below which the rate is known to no more than its order."""


def summary(detector: Detector) -> dict[str, Any]:
    """A detector as plain values."""
    facts, calibrated = detector.artefact.facts, len(detector.calibration.scores)
    low, high = calibration_interval(detector.rate, calibrated)
    return {
        "sequences": facts["corpus"]["sequences"],
        "events": facts["corpus"]["symbols"],
        "distinct_events": len(detector.alphabet.names),
        "bits_per_event": detector.calibration.bits_per_event,
        "calibration_sequences": calibrated,
        "folds": facts["calibration"]["folds"],
        "in_order": facts["calibration"].get("in_order", False),
        "false_alarms": detector.rate,
        "false_alarms_interval": [low, high],
        "smallest_false_alarms": detector.calibration.smallest_rate,
        "top_k": detector.top_k,
        "threshold": _finite(detector.calibration.threshold(detector.rate)),
        "templates": len(detector.source.get("templates") or ()),
    }


def warnings(detector: Detector, troubles: Sequence[UnreadableLines]) -> list[str]:
    """What a user should know before trusting it: of what was read, and of its rate."""
    found = [trouble.message() for trouble in troubles if trouble.count]
    calibrated, rate = len(detector.calibration.scores), detector.rate
    low, high = calibration_interval(rate, calibrated)
    if detector.top_k:
        found.append(
            f"an event beyond the {detector.top_k} likeliest is flagged: no rate of false alarms is promised"
        )
    elif can_never_alarm(detector):
        found.append(never_alarms_message(detector))
    elif _allowed(detector) < _FEW:
        found.append(
            f"{calibrated:,} calibration sequences tell the rate roughly: asked for {rate:.2%}, "
            f"to be expected is {low:.2%} to {high:.2%}"
        )
    return found


def can_never_alarm(detector: Detector) -> bool:
    """Whether the rate is so low that no sequence can be flagged, whatever it is."""
    return not detector.top_k and not _allowed(detector)


def never_alarms_message(detector: Detector) -> str:
    """That, why, and what to do."""
    return (
        f"{len(detector.calibration.scores):,} calibration sequences are too few for a rate of "
        f"{detector.rate:.2%}: nothing will be flagged. "
        f"{detector.calibration.smallest_rate:.2%} is possible, "
        f"or learn from {math.ceil(1 / detector.rate):,} and more"
    )


def _allowed(detector: Detector) -> int:
    """Calibration sequences that lie at or beyond the threshold."""
    return math.floor(detector.rate * (len(detector.calibration.scores) + 1) + 1e-9)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
